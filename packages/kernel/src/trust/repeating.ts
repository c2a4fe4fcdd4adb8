/** A reading that is repeated: at an interval while it succeeds, and soon again, with growing pauses, while it fails. */

export interface Repeating {
  /** Resolves with the first success. Never rejects. */
  readonly firstSuccess: Promise<void>;
  /** No more runs; waits for the one under way. */
  end(): Promise<void>;
}

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 10_000;

export function startRepeating(options: {
  readonly run: () => Promise<void>;
  readonly everyMs: number;
  /** Called with the first failure after a success, and not again until the next success. */
  readonly onError: (error: unknown) => void;
}): Repeating {
  const { run, everyMs, onError } = options;
  const first = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let ended = false;

  const turn = async (): Promise<void> => {
    try {
      await run();
      failures = 0;
      first.resolve();
    } catch (error) {
      if (failures === 0 && !ended) onError(error);
      failures += 1;
    }
    if (ended) return;
    const pauseMs = failures === 0 ? everyMs : Math.min(LAST_RETRY_MS, everyMs, FIRST_RETRY_MS * 2 ** (failures - 1));
    timer = setTimeout(start, pauseMs);
    // Repeating alone keeps no process alive.
    timer.unref();
  };
  const start = () => {
    running = turn();
  };
  let running: Promise<void> = turn();
  return {
    firstSuccess: first.promise,
    async end() {
      ended = true;
      clearTimeout(timer);
      await running;
    },
  };
}
