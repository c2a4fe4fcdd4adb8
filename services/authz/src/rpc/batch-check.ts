/** BatchCheck: each check with its answer or its own error, all of one state of the graph. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import type { AuthzService, PermissionCheck } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { check } from "../rules/check.ts";
import type { Graph } from "../rules/graph.ts";
import { CHECK_LIMITS } from "../rules/limits.ts";
import { inOneState } from "../store/one-state.ts";
import { ownReference, requireAbout } from "./callers.ts";
import { tokenOf } from "./consistency-token.ts";
import { whenRead } from "./declared.ts";
import type { AuthzDeps } from "./deps.ts";
import { invalidField } from "./fields.ts";
import { questionField, requireAnswerable } from "./question.ts";

const MAX_CHECKS = 100;

export function batchCheck(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.batchCheck> {
  return async ({ checks }, context) => {
    if (checks.length > MAX_CHECKS) throw invalidField("checks", `must have at most ${MAX_CHECKS}`);
    const subjects = checks.map(({ subject }, index) => ownReference(context, `checks[${index}].subject`, subject));
    await requireAbout(context, deps.authorizer, ...subjects);
    const model = deps.models.current();
    const answer = async (request: PermissionCheck, index: number, graph: Graph) => {
      try {
        const question = questionField(context, request, `checks[${index}].`);
        await whenRead(deps.models, () => requireAnswerable(deps.models, question));
        return { allowed: await check(model, graph, question, CHECK_LIMITS), errorReason: "" };
      } catch (error) {
        // What keeps one check from an answer is its own; without the database there is none for anybody.
        if (!(error instanceof AppError) || error.reason === "DATABASE_UNAVAILABLE") throw error;
        return { allowed: false, errorReason: error.reason };
      }
    };
    const found = await inOneState(deps.database, (graph) =>
      Promise.all(checks.map((request, index) => answer(request, index, graph))),
    );
    return { results: found.result, consistencyToken: await tokenOf(deps.database.queries, found.revision) };
  };
}
