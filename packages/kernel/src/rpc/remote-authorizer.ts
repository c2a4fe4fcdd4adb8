/** Asks Authz over the network. What is not a clear answer is never taken for a yes. */
import type { Client } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import type { Authorizer } from "./authorizer.ts";
import { reasonOf } from "./errors.ts";

export function remoteAuthorizer(client: Pick<Client<typeof AuthzService>, "check">): Authorizer {
  return {
    async check(subject, permission, object) {
      try {
        return (await client.check({ subject, permission, object })).allowed;
      } catch (error) {
        throw asAppError(error);
      }
    },
  };
}

function asAppError(error: unknown): AppError {
  switch (reasonOf(error)) {
    // The object's name comes from the caller's request.
    case "INVALID_FIELD":
      return new AppError("INVALID_FIELD", "the request names something that cannot be the id of an object", {
        cause: error,
      });
    case "GRAPH_TOO_DEEP":
      return new AppError("GRAPH_TOO_DEEP", "the permission check met more levels or objects than it may visit", {
        cause: error,
      });
    default:
      return new AppError("AUTHZ_UNAVAILABLE", "permissions cannot be checked at the moment; try again", {
        cause: error,
      });
  }
}
