/** Permissions whose object is fixed. Where it comes from the request's message, the service checks: only it reads that. */
import { AppError } from "@switchboard/contract/app-error";
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import type { Stage } from "../pipeline.ts";

export function authorize(authorizer: Authorizer): Stage {
  return (call) => {
    const fixed = call.route.permissions.filter(({ field }) => field === undefined);
    if (fixed.length === 0) return;
    const { principal } = call;
    if (principal.kind === "anonymous") throw denied(fixed[0]?.permission ?? "");
    const check = async () => {
      for (const { permission, object } of fixed) {
        const meant = object === "user:me" ? principal.subject : object;
        if (!(await authorizer.check(principal.subject, permission, meant))) throw denied(permission);
      }
    };
    return check();
  };
}

function denied(permission: string): AppError {
  return new AppError("PERMISSION_DENIED", `you lack the permission "${permission}" that this method needs`, {
    metadata: { permission },
  });
}
