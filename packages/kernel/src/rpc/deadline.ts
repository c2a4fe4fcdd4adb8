/** How long a call may still take, and waiting within that. */
import { Code, ConnectError } from "@connectrpc/connect";

/** gRPC's timeout header has eight digits. */
const LONGEST_TIMEOUT_MS = 99_999_999;
/** Node's timers take no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface Deadline {
  /** Whole milliseconds that are left, at least 1; undefined: no deadline. @throws ConnectError DeadlineExceeded when over. */
  remainingMs(): number | undefined;
  /**
   * Resolves after `ms`, when `wake` does, or when the deadline passes, whichever is first.
   * @throws ConnectError Canceled where the caller gives up.
   */
  pause(ms: number, wake?: Promise<unknown>): Promise<void>;
  /** The promise's value. @throws ConnectError DeadlineExceeded or Canceled where it comes too late. */
  within<T>(promise: Promise<T>): Promise<T>;
}

/** @param timeoutMs undefined or at most 0: no deadline. */
export function createDeadline(
  now: () => number,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
): Deadline {
  const end = timeoutMs === undefined || timeoutMs <= 0 ? undefined : now() + timeoutMs;
  const remainingMs = () => {
    if (end === undefined) return undefined;
    const remaining = end - now();
    if (remaining <= 0) throw new ConnectError("the call's deadline passed", Code.DeadlineExceeded);
    return Math.min(Math.ceil(remaining), LONGEST_TIMEOUT_MS);
  };
  const pause = async (ms: number, wake?: Promise<unknown>) => {
    const longest = end === undefined ? ms : Math.min(ms, Math.max(0, end - now()));
    if (longest > 0) await waitFor(longest, wake, signal);
    if (signal?.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
  };
  return {
    remainingMs,
    pause,
    async within(promise) {
      let settled = false;
      const settle = () => {
        settled = true;
      };
      while (!settled) {
        await pause(remainingMs() ?? LONGEST_TIMER_MS, promise.then(settle, settle));
      }
      return promise;
    },
  };
}

function waitFor(ms: number, wake: Promise<unknown> | undefined, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, LONGEST_TIMER_MS));
    signal?.addEventListener("abort", done, { once: true });
    wake?.then(done, done);
    if (signal?.aborted) done();
  });
}
