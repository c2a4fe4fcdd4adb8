/** Who may call at all, before any permission: the contract's `access`. */
import { AppError } from "@switchboard/contract/app-error";
import type { RunningCall } from "./running-call.ts";

/** An INTERNAL method does not exist for calls from outside. @throws AppError UNKNOWN_METHOD */
export function requireReachable({ forwarded, policy }: RunningCall): void {
  if (policy.access === "internal" && forwarded) {
    throw new AppError("UNKNOWN_METHOD", `no method can be called at /${policy.name}`);
  }
}

/** @throws AppError CREDENTIAL_MISSING */
export function requireCaller({ policy, principal }: RunningCall): void {
  if (policy.access === "authenticated" && principal.kind === "anonymous") {
    throw new AppError("CREDENTIAL_MISSING", "sign in, and send `authorization: Bearer <access token>`");
  }
}
