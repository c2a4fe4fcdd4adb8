/** Waiting that ends with a signal, whatever it is that is waited for. */

/** The promise's value. @throws the signal's reason, where that comes first. */
export function untilAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** The values of the source. @throws the signal's reason, where that comes before the next. */
export async function* eachUntilAborted<T>(signal: AbortSignal, source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const result = await untilAborted(signal, iterator.next());
      finished = result.done === true;
      if (finished) return;
      yield result.value;
    }
  } finally {
    // Not awaited: the source may hang, which is why there is a signal.
    if (!finished) iterator.return?.().catch(() => undefined);
  }
}
