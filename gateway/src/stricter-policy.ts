/** Of two policies of the same method, what is the stricter in each point: it holds while instances of two versions run. */
import type { MethodPolicy, RateLimitPolicy } from "@switchboard/contract/policy";

const accesses: readonly MethodPolicy["access"][] = ["public", "authenticated", "internal"];
const audits: readonly MethodPolicy["audit"][] = ["none", "write", "read"];

export function stricterPolicy(a: MethodPolicy, b: MethodPolicy): MethodPolicy {
  return Object.freeze({
    name: a.name,
    access: later(accesses, a.access, b.access),
    permission: a.permission ?? b.permission,
    rateLimit: a.rateLimit && b.rateLimit ? lower(a.rateLimit, b.rateLimit) : (a.rateLimit ?? b.rateLimit),
    timeoutMs: least(a.timeoutMs, b.timeoutMs),
    maxRequestBytes: Math.min(a.maxRequestBytes, b.maxRequestBytes),
    audit: later(audits, a.audit, b.audit),
    repeatable: a.repeatable && b.repeatable,
    sideEffectFree: a.sideEffectFree && b.sideEffectFree,
    withoutServiceToken: a.withoutServiceToken && b.withoutServiceToken,
  });
}

function later<T>(order: readonly T[], a: T, b: T): T {
  return order.indexOf(a) < order.indexOf(b) ? b : a;
}

function lower(a: RateLimitPolicy, b: RateLimitPolicy): RateLimitPolicy {
  return b.requests / b.windowMs < a.requests / a.windowMs ? b : a;
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}
