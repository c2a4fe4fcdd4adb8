/** Whether the caller is the service whose contract declares a type: then its relationships are its own business. */
import type { HandlerContext } from "@connectrpc/connect";
import { callOf } from "@switchboard/kernel/rpc/call";
import { requireAllRead, whenRead } from "./declared.ts";
import type { AuthzDeps } from "./deps.ts";

/** @throws AppError AUTHZ_UNAVAILABLE where a type may be the caller's, by a contract that has not been read yet */
export async function ownsAll(deps: AuthzDeps, context: HandlerContext, types: readonly string[]): Promise<boolean> {
  const { principal } = callOf(context);
  if (principal.kind !== "service") return false;
  return await whenRead(deps.models, () => {
    const known = deps.models.current().types;
    const unknown = types.find((type) => !known.has(type));
    if (unknown !== undefined) requireAllRead(deps.models, `no registered contract declares the type "${unknown}"`);
    return types.every((type) => known.get(type)?.owner === principal.service);
  });
}
