/**
 * Wakes whoever waits for new entries: by NOTIFY, which all instances hear and which may be lost, and by looking again
 * after a while, which never is.
 */
import type { Database } from "@switchboard/kernel/database/database";
import { APPENDED_CHANNEL } from "../store/append.ts";

/** How long an entry can stay unseen where its notification was lost. */
const LOOK_AGAIN_MS = 1_000;

export class AppendSignal {
  readonly #sql: Database["sql"];
  readonly #waiting = new Set<() => void>();
  #heard = 0;
  #listening: Promise<unknown> | undefined;

  /** It begins to listen with the first that waits, and ends with the pool. */
  constructor(sql: Database["sql"]) {
    this.#sql = sql;
  }

  /** Take it before reading; `after` it returns at once where something was appended since. */
  mark(): number {
    this.#listen();
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

  #listen(): void {
    // The second callback is for every connection anew: what was notified in between was missed.
    this.#listening ??= this.#sql
      .listen(
        APPENDED_CHANNEL,
        () => this.#wake(),
        () => this.#wake(),
      )
      .catch(() => {
        this.#listening = undefined;
      });
  }

  #wake(): void {
    this.#heard++;
    for (const resolve of this.#waiting) resolve();
  }
}
