/**
 * Wakes whoever waits for new entries: by NOTIFY, which all instances hear and which may be lost, and by looking again
 * after a while, which never is.
 */
import type { Connection } from "@switchboard/kernel/database/connection";
import type { Database } from "@switchboard/kernel/database/database";
import { withReconnecting } from "@switchboard/kernel/database/reconnecting";
import { aborted } from "@switchboard/kernel/process/stop-signal";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { APPENDED_CHANNEL } from "../store/append.ts";

/** How long an entry can stay unseen where its notification was lost. */
const LOOK_AGAIN_MS = 1_000;

export class AppendSignal {
  readonly #waiting = new Set<() => void>();
  #heard = 0;

  /** Listens until it is disposed. Without it, everything is seen when it is looked for again. */
  listen(database: Pick<Database, "connect">, log: ServiceDeps["log"]): AsyncDisposable {
    const stop = new AbortController();
    const running = withReconnecting({
      connect: () => database.connect(),
      work: (connection) => this.#hear(connection, stop.signal),
      stop: stop.signal,
      log,
      name: "the watch for new entries",
    });
    return {
      async [Symbol.asyncDispose]() {
        stop.abort();
        await running;
      },
    };
  }

  /** Take it before reading; `after` it returns at once where something was appended since. */
  mark(): number {
    return this.#heard;
  }

  /** Resolves when there may be more than at the mark: at the latest after a second, or when the signal aborts. */
  async after(mark: number, signal: AbortSignal): Promise<void> {
    if (this.#heard !== mark || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const timer = setTimeout(wake, LOOK_AGAIN_MS);
    signal.addEventListener("abort", wake);
    this.#waiting.add(wake);
    await promise;
    this.#waiting.delete(wake);
    signal.removeEventListener("abort", wake);
    clearTimeout(timer);
  }

  async #hear(connection: Connection, stop: AbortSignal): Promise<void> {
    await connection.listen(APPENDED_CHANNEL, () => this.#wake());
    // What was notified before this connection was missed.
    this.#wake();
    await aborted(AbortSignal.any([connection.lost, stop]));
  }

  #wake(): void {
    this.#heard++;
    for (const wake of this.#waiting) wake();
  }
}
