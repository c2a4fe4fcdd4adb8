/** BatchCheck: each check with its answer or its own error, all of one state of the graph. */
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import type { AuthzService, PermissionCheck } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { check, type Question } from "../rules/check.ts";
import type { Graph } from "../rules/graph.ts";
import { CHECK_LIMITS } from "../rules/limits.ts";
import type { Model } from "../rules/model.ts";
import { inOneState } from "../store/one-state.ts";
import { ownReference, requireAbout } from "./callers.ts";
import { tokenOf } from "./consistency-token.ts";
import type { AuthzDeps } from "./deps.ts";
import { invalidField } from "./fields.ts";
import { questionField, requireAnswerable } from "./question.ts";

const MAX_CHECKS = 100;

export function batchCheck(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.batchCheck> {
  return async ({ checks }, context) => {
    if (checks.length > MAX_CHECKS) throw invalidField("checks", `must have at most ${MAX_CHECKS}`);
    const subjects = checks.map(({ subject }, index) => ownReference(context, `checks[${index}].subject`, subject));
    await requireAbout(context, deps.authorizer, ...subjects);
    const ask = () => checks.map((request, index) => questionOrReason(deps, context, request, index));
    let asked = ask();
    if (asked.includes("AUTHZ_UNAVAILABLE")) {
      await deps.models.settled();
      asked = ask();
    }
    const model = deps.models.current();
    const found = await inOneState(deps.database, (graph) =>
      Promise.all(asked.map((question) => answer(model, graph, question))),
    );
    return { results: found.result, consistencyToken: await tokenOf(deps.database.queries, found.revision) };
  };
}

/** A question that the model in force can answer, or why it is none. */
function questionOrReason(
  { models }: AuthzDeps,
  context: HandlerContext,
  request: PermissionCheck,
  index: number,
): Question | ReasonName {
  try {
    const question = questionField(context, request, `checks[${index}].`);
    requireAnswerable(models, question);
    return question;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.reason;
  }
}

async function answer(model: Model, graph: Graph, question: Question | ReasonName) {
  if (typeof question === "string") return { allowed: false, errorReason: question };
  try {
    return { allowed: await check(model, graph, question, CHECK_LIMITS), errorReason: "" };
  } catch (error) {
    // What is too deep is this check's own; without the database there is no answer for anybody.
    if (!(error instanceof AppError) || error.reason !== "GRAPH_TOO_DEEP") throw error;
    return { allowed: false, errorReason: error.reason };
  }
}
