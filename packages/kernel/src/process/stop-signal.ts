/** When the process is to stop: SIGINT, SIGTERM, or the death of the parent that it has an IPC channel with. */

/**
 * Aborts at the first of them, with its name as the reason. A second SIGINT ends the process at once: somebody at a
 * terminal is in a hurry.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (reason: string) => controller.abort(reason);
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => (controller.signal.aborted ? process.exit(130) : stop("SIGINT")));
  process.once("disconnect", () => stop("the parent process ended"));
  // The listener would keep a process alive that has nothing left to do.
  process.channel?.unref();
  return controller.signal;
}

/** Resolves when the signal aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
