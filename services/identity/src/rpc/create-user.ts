/** CreateUser. */
import type { MethodImpl } from "@connectrpc/connect";
import { newId } from "@switchboard/contract/ids";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { publishCreated } from "../events/user-facts.ts";
import { newPerson } from "../rules/person.ts";
import { insertPerson } from "../store/users.ts";
import { displayName, email, userId } from "./user-fields.ts";
import { userMessage } from "./user-message.ts";

const method = IdentityService.method.createUser;
const fields = z.object({ email, displayName, userId: userId.or(z.literal("")) });

export function createUser({ writes, now }: ServiceDeps): MethodImpl<typeof method> {
  return (request, context) => {
    const { userId: chosen, ...details } = check(fields, request);
    return writes.write(method, request, context, async (tx) => {
      const person = newPerson(chosen || newId(), details, new Date(now()));
      callOf(context).object = `user:${person.userId}`;
      await insertPerson(tx.queries, person);
      await publishCreated(tx, person);
      return { user: userMessage(person) };
    });
  };
}
