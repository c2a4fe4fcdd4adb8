/** RevokeRole: never the last administrator's. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { findRelationships } from "../store/relationships.ts";
import { changeRelationships } from "./change-relationships.ts";
import type { AuthzDeps } from "./deps.ts";
import { roleField } from "./role.ts";

const method = AuthzService.method.revokeRole;
const administrators = { objectType: "platform", objectId: "switchboard", relation: "admin" };

export function revokeRole(deps: AuthzDeps): MethodImpl<typeof method> {
  return (request, context) => {
    const grant = roleField(deps.model(), request);
    callOf(context).object = request.subject;
    return deps.writes.write(method, request, context, async (tx) => {
      // The revision's row is locked first: of two who revoke at once, the second sees what the first left.
      const consistencyToken = await changeRelationships(tx, { writes: [], deletes: [grant] });
      const isAdministration = request.object === "platform:switchboard" && request.role === "admin";
      if (isAdministration && (await findRelationships(tx.queries, administrators, { limit: 1 })).length === 0) {
        throw new AppError("WRONG_STATE", "this is the last administrator; make another one first");
      }
      return { consistencyToken };
    });
  };
}
