/**
 * Consul's blocking queries, done as its documentation demands: an index that goes back or is lost begins anew, and no
 * server is asked more often than is good for it. Knows no endpoint.
 */
import { setTimeout as delay } from "node:timers/promises";

export interface FollowOptions<T> {
  /** Asks; with an index the answer may come when something is newer than it. Undefined: at once. */
  readonly ask: (
    index: number | undefined,
    signal: AbortSignal,
  ) => Promise<{ readonly index: number; readonly value: T }>;
  /** Something may be new. A failure in it is one of the query: it is asked anew. */
  readonly changed: (value: T, index: number) => Promise<void> | void;
  /** Nothing is new. Its failure is one of the query too. */
  readonly unchanged: () => Promise<void> | void;
  /** It cannot be asked, and will be again. */
  readonly failed: (error: unknown) => void;
  /** Between the beginnings of two questions at least, so that many changes are read together. Asked after each answer. */
  readonly gapMs: () => number;
  /** After the second failure on end; the first is followed at once, since a broken connection is no outage. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

/** Resolves when the signal aborts. */
export async function followIndex<T>(options: FollowOptions<T>): Promise<void> {
  const { signal, retryMs } = options;
  let index: number | undefined;
  let failures = 0;
  while (!signal.aborted) {
    const begin = performance.now();
    try {
      const answer = await options.ask(index, signal);
      // An index of 0 would make every question answer at once.
      if (answer.index <= 0) throw new Error("the answer has no index");
      if (answer.index === index) await options.unchanged();
      else await options.changed(answer.value, answer.index);
      // It goes back where the engine lost what it knew: the next question must not wait for an index of the past.
      index = index !== undefined && answer.index < index ? undefined : answer.index;
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      index = undefined;
      failures += 1;
      options.failed(error);
      if (failures > 1) await pause(retryMs, signal);
      continue;
    }
    await pause(options.gapMs() - (performance.now() - begin), signal);
  }
}

/** Jittered, so that the processes of a platform do not ask in step. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms * (0.9 + Math.random() * 0.2), undefined, { signal }).catch(() => {});
}
