/** The streams of a connection by their number, and which numbers were used (RFC 9113, section 5.1.1). Only clients open streams. */
import type { Stream } from "./stream.ts";

/** Of so many streams that were reset here, what the peer sent before it knew is told from what it may not send. */
const REMEMBERED_RESETS = 2_000;

export class StreamTable {
  readonly #streams = new Map<number, Stream>();
  readonly #reset = new Set<number>();
  /** The highest number that was used. */
  newest = 0;

  get size(): number {
    return this.#streams.size;
  }

  get(id: number): Stream | undefined {
    return this.#streams.get(id);
  }

  add(stream: Stream): void {
    this.#streams.set(stream.id, stream);
  }

  /** @returns false where it was not there. */
  delete(id: number): boolean {
    return this.#streams.delete(id);
  }

  all(): IterableIterator<Stream> {
    return this.#streams.values();
  }

  /** Whether no one has used the number yet. We refuse pushes, so no even one is ever used. */
  isIdle(id: number): boolean {
    return id > this.newest || (id & 1) === 0;
  }

  markReset(id: number): void {
    if (this.#reset.size >= REMEMBERED_RESETS) this.#reset.delete(this.#reset.values().next().value as number);
    this.#reset.add(id);
  }

  /** Whether it was reset here, so that frames may still be on their way to it. */
  wasReset(id: number): boolean {
    return this.#reset.has(id);
  }
}
