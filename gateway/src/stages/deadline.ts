/** The time a call may take, counted from its arrival: the policy's timeout, or the caller's where it is shorter. */
import { AppError } from "@switchboard/contract/app-error";
import { parseTimeoutMs, timeoutHeader } from "@switchboard/wire/timeout";
import { single } from "../gateway-call.ts";
import type { Stage } from "../pipeline.ts";

/** Node's timers take no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export function deadline(now: () => number): Stage {
  return (call) => {
    const { exchange, protocol, route } = call;
    const asked = parseTimeoutMs(protocol, single(exchange.headers[timeoutHeader(protocol)]));
    const timeoutMs = Math.min(asked ?? Number.POSITIVE_INFINITY, route.policy.timeoutMs ?? Number.POSITIVE_INFINITY);
    if (timeoutMs === Number.POSITIVE_INFINITY) return;
    call.deadlineTime = call.arrivalTime + timeoutMs;
    const passed = () => new AppError("DEADLINE_EXCEEDED", `the call took longer than the ${timeoutMs} ms that it has`);
    const remainingMs = call.deadlineTime - now();
    if (remainingMs <= 0) throw passed();
    if (remainingMs > LONGEST_TIMER_MS) return;
    const timer = setTimeout(() => call.end(passed()), remainingMs);
    exchange.onClosed(() => clearTimeout(timer));
  };
}
