/** EnableUser. */
import type { MethodImpl } from "@connectrpc/connect";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { publishEnabled } from "../events/user-facts.ts";
import { enable, type Person } from "../rules/person.ts";
import { changePerson } from "./change-person.ts";
import { whichUser } from "./user-fields.ts";
import { userMessage } from "./user-message.ts";

const method = IdentityService.method.enableUser;

export function enableUser({ writes, now }: ServiceDeps): MethodImpl<typeof method> {
  return (request, context) => {
    const which = check(whichUser, request);
    return writes.write(method, request, context, async (tx) => {
      const rule = (person: Person) => enable(person, new Date(now()));
      return { user: userMessage(await changePerson(tx, context, { ...which, rule, publish: publishEnabled })) };
    });
  };
}
