/**
 * The order of handling in one process: items of one lane come one after another, lanes side by side. It knows nothing
 * of events or PostgreSQL.
 */

export interface LanesOptions<T> {
  readonly laneOf: (item: T) => string;
  /** Lanes handled at once. */
  readonly concurrency: number;
  /** The most items of a lane that are handled together. */
  readonly batchSize: number;
  /** Whether two items may be handled together. */
  readonly together: (first: T, next: T) => boolean;
  /** What an item counts for in `weight`. */
  readonly weightOf: (item: T) => number;
  /** Handles items; must not reject. */
  readonly run: (items: readonly T[]) => Promise<void>;
}

export class Lanes<T> {
  readonly #options: LanesOptions<T>;
  readonly #waiting = new Map<string, T[]>();
  /** Lanes that have waiting items and none under way, the longest waiting first. */
  readonly #ready = new Set<string>();
  readonly #running = new Set<string>();
  #idle: PromiseWithResolvers<void> | undefined;
  #weight = 0;

  constructor(options: LanesOptions<T>) {
    this.#options = options;
  }

  /** Of all items that wait or are under way. */
  get weight(): number {
    return this.#weight;
  }

  push(item: T): void {
    const lane = this.#options.laneOf(item);
    const waiting = this.#waiting.get(lane);
    if (waiting) waiting.push(item);
    else this.#waiting.set(lane, [item]);
    this.#weight += this.#options.weightOf(item);
    if (!this.#running.has(lane)) this.#ready.add(lane);
    this.#pump();
  }

  /** Takes out the waiting items for which `test` holds. */
  remove(test: (item: T) => boolean): T[] {
    const removed: T[] = [];
    for (const [lane, items] of this.#waiting) {
      const kept = items.filter((item) => !test(item));
      if (kept.length === items.length) continue;
      removed.push(...items.filter(test));
      if (kept.length > 0) this.#waiting.set(lane, kept);
      else this.#forget(lane);
    }
    this.#lighten(removed);
    return removed;
  }

  /** Resolves when nothing is under way and nothing is left to start. */
  async idle(): Promise<void> {
    if (this.#running.size === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  #pump(): void {
    for (const lane of this.#ready) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#ready.delete(lane);
      this.#running.add(lane);
      void this.#run(lane);
    }
  }

  async #run(lane: string): Promise<void> {
    const items = this.#take(lane);
    await this.#options.run(items);
    this.#lighten(items);
    this.#running.delete(lane);
    if (this.#waiting.has(lane)) this.#ready.add(lane);
    this.#pump();
    if (this.#running.size > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  #take(lane: string): T[] {
    const { batchSize, together } = this.#options;
    const items = this.#waiting.get(lane) ?? [];
    const [first] = items;
    let count = 1;
    for (; count < Math.min(batchSize, items.length); count++) {
      const next = items[count];
      if (first === undefined || next === undefined || !together(first, next)) break;
    }
    const taken = items.splice(0, count);
    if (items.length === 0) this.#forget(lane);
    return taken;
  }

  #forget(lane: string): void {
    this.#waiting.delete(lane);
    this.#ready.delete(lane);
  }

  #lighten(items: readonly T[]): void {
    for (const item of items) this.#weight -= this.#options.weightOf(item);
  }
}
