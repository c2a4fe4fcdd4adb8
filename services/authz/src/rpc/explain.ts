/** Explain. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { explain as evaluate } from "../rules/check.ts";
import { CHECK_LIMITS } from "../rules/limits.ts";
import { formatObject } from "../rules/reference.ts";
import { inOneState } from "../store/one-state.ts";
import { requireAbout } from "./callers.ts";
import { whenRead } from "./declared.ts";
import type { AuthzDeps } from "./deps.ts";
import { questionField, requireAnswerable } from "./question.ts";

export function explain(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.explain> {
  return async (request, context) => {
    const question = questionField(context, request);
    await requireAbout(context, deps.authorizer, formatObject(question.subject));
    const model = await whenRead(deps.models, () => requireAnswerable(deps.models, question));
    const { result } = await inOneState(deps.database, (graph) => evaluate(model, graph, question, CHECK_LIMITS));
    return { allowed: result.allowed, path: [...result.path], missing: [...result.missing] };
  };
}
