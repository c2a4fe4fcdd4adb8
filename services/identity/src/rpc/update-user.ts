/** UpdateUser. */
import { create } from "@bufbuild/protobuf";
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { updatePaths } from "@switchboard/contract/field-mask";
import { actorOf } from "@switchboard/contract/principal";
import { IdentityService, UserSchema } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { publishUpdated } from "../events/user-facts.ts";
import { CHANGEABLE, type ChangeableField, update } from "../rules/person.ts";
import { changePerson } from "./change-person.ts";
import { displayName, email, userId } from "./user-fields.ts";
import { userMessage } from "./user-message.ts";

const method = IdentityService.method.updateUser;

/** Fields that the mask leaves out may hold anything. */
function fieldsOf(paths: readonly ChangeableField[]) {
  const user = z.object({
    userId,
    etag: z.string(),
    email: paths.includes("email") ? email : z.string(),
    displayName: paths.includes("display_name") ? displayName : z.string(),
  });
  return z.object({ user });
}

export function updateUser({ writes, authorizer, now }: ServiceDeps): MethodImpl<typeof method> {
  return async (request, context) => {
    const paths = updatePaths(UserSchema, request.user ?? create(UserSchema), request.updateMask, CHANGEABLE);
    const { user } = check(fieldsOf(paths), request);
    const caller = actorOf(callOf(context).principal);
    const mayChangeEmail = paths.includes("email") && (await authorizer.check(caller, "manage", `user:${user.userId}`));
    return writes.write(method, request, context, async (tx) => {
      const person = await changePerson(tx, context, {
        ...user,
        rule: (before) => {
          const after = update(before, paths, user, new Date(now()));
          if (after.email === before.email || mayChangeEmail) return after;
          throw new AppError(
            "PERMISSION_DENIED",
            "changing an e-mail takes the permission `manage`: ask an administrator",
          );
        },
        publish: publishUpdated,
      });
      return { user: userMessage(person) };
    });
  };
}
