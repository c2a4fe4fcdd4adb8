/** Check. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { check as evaluate } from "../rules/check.ts";
import { CHECK_LIMITS } from "../rules/limits.ts";
import { ownSubject, requireAbout } from "./callers.ts";
import { consistencyToken } from "./consistency-token.ts";
import type { AuthzDeps } from "./deps.ts";
import { objectField, requireDeclared } from "./fields.ts";

export function check(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.check> {
  return async ({ subject: text, permission, object: objectText }, context) => {
    const subject = objectField("subject", ownSubject(context, text));
    const object = objectField("object", objectText);
    await requireAbout(context, deps.authorizer, `${subject.type}:${subject.id}`);
    const model = deps.model();
    requireDeclared(model, object.type, permission);
    const token = await consistencyToken(deps.database.queries);
    const allowed = await evaluate(model, deps.graph, { subject, permission, object }, CHECK_LIMITS);
    return { allowed, consistencyToken: token };
  };
}
