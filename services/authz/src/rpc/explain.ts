/** Explain. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { explain as evaluate } from "../rules/check.ts";
import { CHECK_LIMITS } from "../rules/limits.ts";
import { ownSubject, requireAbout } from "./callers.ts";
import type { AuthzDeps } from "./deps.ts";
import { objectField, requireDeclared } from "./fields.ts";

export function explain(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.explain> {
  return async ({ subject: text, permission, object: objectText }, context) => {
    const subject = objectField("subject", ownSubject(context, text));
    const object = objectField("object", objectText);
    await requireAbout(context, deps.authorizer, `${subject.type}:${subject.id}`);
    const model = deps.model();
    requireDeclared(model, object.type, permission);
    const { allowed, path, missing } = await evaluate(model, deps.graph, { subject, permission, object }, CHECK_LIMITS);
    return { allowed, path: [...path], missing: [...missing] };
  };
}
