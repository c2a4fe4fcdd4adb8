/** Waits for a condition, with a bound: repeats an assertion until it holds. Never a fixed sleep. */
import { setTimeout as delay } from "node:timers/promises";

export interface EventuallyOptions {
  /** Default 5,000. */
  readonly withinMs?: number;
  /** Default 20. */
  readonly everyMs?: number;
}

/** What `check` returns once it does not throw. @throws the last failure when the time is over. */
export async function eventually<T>(check: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
  const { withinMs = 5_000, everyMs = 20 } = options;
  const end = performance.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (failure) {
      if (performance.now() >= end) throw failure;
    }
    await delay(everyMs);
  }
}
