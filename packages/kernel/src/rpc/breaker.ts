/**
 * The circuit breaker of one instance. Ejection (gRFC A50, consecutive failures) and breaker are one mechanism here: an
 * open breaker is an ejected instance, half-open is its way back. How many may be open at once, and what happens when
 * all are, is the balancer's.
 */

/** When an instance is ejected and for how long; names as in gRFC A50. */
export interface Ejection {
  /** Failures without a success between them that eject. Default 5. */
  readonly consecutiveFailures: number;
  /** How long the first ejection lasts; each further one that long again. Default 1,000. */
  readonly baseEjectionTimeMs: number;
  /** The longest ejection. Default 30,000. */
  readonly maxEjectionTimeMs: number;
  /** The share of the instances that may be ejected at once, 0 to 1; one may always be. Default 0.5. */
  readonly maxEjectedShare: number;
}

export const DEFAULT_EJECTION: Ejection = Object.freeze({
  consecutiveFailures: 5,
  baseEjectionTimeMs: 1_000,
  maxEjectionTimeMs: 30_000,
  maxEjectedShare: 0.5,
});

/** Closed: takes calls. Open: ejected. Half-open: its time is over and one call may try it. */
export type BreakerState = "closed" | "open" | "half_open";

export interface Breaker {
  state(): BreakerState;
  /** When it was last opened, Unix milliseconds; 0: never. */
  openTime(): number;
  /** Failures since the last success. */
  failures(): number;
  succeed(): void;
  /** Counts a failure. It opens the breaker only where `mayOpen`; a failed try of a half-open one always opens it again. */
  fail(mayOpen: boolean): void;
}

export function createBreaker(now: () => number, ejection: Ejection): Breaker {
  let failures = 0;
  /** How many ejections in a row; the multiplier of the time. */
  let ejections = 0;
  let openedAt = 0;
  let open = false;
  let closedAt = 0;

  const ejectionTimeMs = () => Math.min(ejections * ejection.baseEjectionTimeMs, ejection.maxEjectionTimeMs);
  const state = (): BreakerState => {
    if (!open) return "closed";
    return now() - openedAt < ejectionTimeMs() ? "open" : "half_open";
  };

  return {
    state,
    openTime: () => openedAt,
    failures: () => failures,
    succeed() {
      failures = 0;
      if (!open) return;
      open = false;
      closedAt = now();
    },
    fail(mayOpen) {
      failures += 1;
      const failedTry = state() === "half_open";
      if (!failedTry && (open || !mayOpen || failures < ejection.consecutiveFailures)) return;
      // An instance that was well for as long as its last ejection has served its sentence.
      if (!open && now() - closedAt > ejectionTimeMs()) ejections = 0;
      ejections += 1;
      openedAt = now();
      open = true;
    },
  };
}
