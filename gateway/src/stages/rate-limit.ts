/**
 * The policy's rate limit, counted over all gateways. Answers carry `RateLimit` and `RateLimit-Policy`
 * (draft-ietf-httpapi-ratelimit-headers, structured fields). Where the counters are away, calls pass.
 */
import { AppError } from "@switchboard/contract/app-error";
import type { RateLimitPolicy } from "@switchboard/contract/policy";
import type { State } from "@switchboard/kernel/state/state";
import type { GatewayCall } from "../gateway-call.ts";
import type { Stage } from "../pipeline.ts";

export interface RateLimitOptions {
  readonly state: Pick<State, "take">;
  /** A call passed uncounted. */
  readonly onUncounted: (error: unknown) => void;
}

export function rateLimit({ onUncounted, state }: RateLimitOptions): Stage {
  return (call) => {
    const limit = call.route.policy.rateLimit;
    return limit && take(call, limit);
  };

  async function take(call: GatewayCall, limit: RateLimitPolicy): Promise<void> {
    const { route } = call;
    const [kind, key] = keyOf(call, limit);
    const decision = await state.take(`rate ${route.policy.name} ${kind} ${key}`, limit).catch(onUncounted);
    if (!decision) return;
    const { allowed, remaining, resetAfterMs, retryAfterMs } = decision;
    const windowSeconds = Math.ceil(limit.windowMs / 1_000);
    call.answerHeaders["ratelimit-policy"] = `"${kind}";q=${limit.requests};w=${windowSeconds}`;
    call.answerHeaders.ratelimit = `"${kind}";r=${remaining};t=${Math.ceil((allowed ? resetAfterMs : retryAfterMs) / 1_000)}`;
    if (allowed) return;
    throw new AppError(
      "RATE_LIMITED",
      `at most ${limit.requests} calls in ${windowSeconds} s; repeat the call after the time in Retry-After`,
      { retryAfterMs },
    );
  }
}

/** Whom a limit counts: without a user, or without a key, the address stands in. */
function keyOf(call: GatewayCall, { key }: RateLimitPolicy): readonly [kind: string, key: string] {
  const { clientAddress, principal } = call;
  if (principal.kind === "user") {
    if (key === "api_key" && principal.viaApiKey) return ["api_key", principal.credentialId];
    if (key !== "address") return ["user", principal.userId];
  }
  return ["address", clientAddress];
}
