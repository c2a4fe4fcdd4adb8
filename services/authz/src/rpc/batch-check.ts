/** BatchCheck: each check with its answer or its own error. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { check } from "../rules/check.ts";
import { CHECK_LIMITS } from "../rules/limits.ts";
import { ownSubject, requireAbout } from "./callers.ts";
import { consistencyToken } from "./consistency-token.ts";
import type { AuthzDeps } from "./deps.ts";
import { invalidField, objectField, requireDeclared } from "./fields.ts";

const MAX_CHECKS = 100;

export function batchCheck(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.batchCheck> {
  return async ({ checks }, context) => {
    if (checks.length > MAX_CHECKS) throw invalidField("checks", `must have at most ${MAX_CHECKS}`);
    const subjects = checks.map(({ subject }) => ownSubject(context, subject));
    for (const subject of new Set(subjects)) await requireAbout(context, deps.authorizer, subject);
    const token = await consistencyToken(deps.database.queries);
    const model = deps.model();
    const answer = async (index: number): Promise<{ allowed: boolean; errorReason: string }> => {
      const { permission = "", object: objectText = "" } = checks[index] ?? {};
      try {
        const subject = objectField(`checks[${index}].subject`, subjects[index] ?? "");
        const object = objectField(`checks[${index}].object`, objectText);
        requireDeclared(model, object.type, permission);
        const allowed = await check(model, deps.graph, { subject, permission, object }, CHECK_LIMITS);
        return { allowed, errorReason: "" };
      } catch (error) {
        if (error instanceof AppError) return { allowed: false, errorReason: error.reason };
        throw error;
      }
    };
    return { results: await Promise.all(checks.map((_, index) => answer(index))), consistencyToken: token };
  };
}
