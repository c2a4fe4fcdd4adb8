/** BatchGetUsers. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import type { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { findPeople } from "../store/users.ts";
import { userId } from "./user-fields.ts";
import { userMessage } from "./user-message.ts";

const fields = z.object({ userIds: z.array(userId).max(1000, "must have at most 1,000 ids") });

export function batchGetUsers({ database }: ServiceDeps): MethodImpl<typeof IdentityService.method.batchGetUsers> {
  return async (request) => {
    const { userIds } = check(fields, request);
    const people = await findPeople(database.queries, [...new Set(userIds)]);
    const byId = new Map(people.map((person) => [person.userId, userMessage(person)]));
    return {
      users: userIds.map((id) => {
        const user = byId.get(id);
        if (user === undefined) throw new AppError("NOT_FOUND", `there is no person with the id ${id}`);
        return user;
      }),
    };
  };
}
