/**
 * Ends a call when its signal does: the deadline (capped by the policy before the call began), the caller's going away, or
 * a drain. The handler hears of it through the same signal; here nobody waits for a handler that does not listen.
 */
import type { Interceptor } from "@connectrpc/connect";

export const deadline: Interceptor = (next) => async (request) => {
  const { signal } = request;
  signal.throwIfAborted();
  const response = await untilAborted(signal, next(request));
  return response.stream ? { ...response, message: messagesUntilAborted(signal, response.message) } : response;
};

/** The promise's value. @throws the signal's reason, where that comes first. */
function untilAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function* messagesUntilAborted<T>(signal: AbortSignal, messages: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = messages[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const result = await untilAborted(signal, iterator.next());
      if (result.done) break;
      yield result.value;
    }
    finished = true;
  } finally {
    // Not awaited: it waits for a handler that may never come back.
    if (!finished) iterator.return?.().catch(() => undefined);
  }
}
