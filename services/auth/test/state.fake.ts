/** The limits of the state port over a fake clock; nothing else of it is used by Auth. */
import { AppError } from "@switchboard/contract/app-error";
import type { State } from "@switchboard/kernel/state/state";

export interface FakeState extends State {
  away: boolean;
}

export function fakeState(now: () => number): FakeState {
  /** GCRA: key → theoretical arrival time. */
  const arrivals = new Map<string, number>();
  const unused = () => Promise.reject(new Error("Auth does not use this"));
  return {
    away: false,
    take(key, { requests, windowMs, burst }, cost = 1) {
      if (this.away) return Promise.reject(new AppError("SERVICE_UNAVAILABLE", "the shared state is away"));
      const interval = windowMs / requests;
      const arrival = Math.max(arrivals.get(key) ?? 0, now()) + cost * interval;
      const over = arrival - now() - burst * interval;
      if (over <= 0) arrivals.set(key, arrival);
      return Promise.resolve({
        allowed: over <= 0,
        remaining: Math.max(0, Math.floor(-over / interval)),
        retryAfterMs: Math.max(0, over),
        resetAfterMs: arrival - now(),
      });
    },
    get: unused,
    set: unused,
    delete: unused,
    lock: unused,
    problem: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
