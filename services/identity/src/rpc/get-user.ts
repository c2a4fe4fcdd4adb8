/** GetUser. */
import type { MethodImpl } from "@connectrpc/connect";
import type { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { getPerson } from "../store/users.ts";
import { userId } from "./user-fields.ts";
import { userMessage } from "./user-message.ts";

const fields = z.object({ userId });

export function getUser({ database }: ServiceDeps): MethodImpl<typeof IdentityService.method.getUser> {
  return async (request) => {
    const { userId } = check(fields, request);
    return { user: userMessage(await getPerson(database.queries, userId)) };
  };
}
