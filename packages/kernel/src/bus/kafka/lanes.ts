/**
 * The order of handling in one process: items of one key (a lane) come one after another, lanes side by side, and a lane
 * whose first item failed waits for its time without holding up the others. While a lane waits, most of what it holds
 * is forgotten but for its place in Kafka ("parked"), so that it takes next to no memory; it is read again in its turn.
 */
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { Queue } from "./queue.ts";
import type { Share } from "./share.ts";

export interface Item {
  /** Source and key of the event. */
  readonly lane: string;
  readonly share: Share;
  readonly offset: number;
  /** Empty: it comes in its turn. */
  readonly replayId: string;
  /** How often it failed. */
  failures: number;
  /** Undefined: parked. */
  event: EventEnvelope | undefined;
}

/** An item that was not done; with a delay it is the first of its lane and the whole lane waits. */
export interface Returned {
  readonly item: Item;
  readonly delayMs: number;
}

export interface LanesOptions {
  /** Lanes handled at once. */
  readonly concurrency: number;
  /** The most items that are handled together. Above 1 they are of any lanes, and only one such batch is under way. */
  readonly batchSize: number;
  /** Handles items; must not reject. Resolves with those that are not done, in their order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Returned[]>;
}

interface Lane {
  readonly key: string;
  readonly items: Queue<Item>;
  state: "ready" | "running" | "waiting";
  timer: NodeJS.Timeout | undefined;
  /** Weight of what is not parked. */
  loaded: number;
}

/** In bytes, each event counting for at least 4 KiB: from here on there is no room for more. */
const MAX_WEIGHT = 16 * 1024 * 1024;
const EVENT_WEIGHT = 4_096;
const PARKED_WEIGHT = 128;
/** What a waiting lane keeps in memory. */
const WAITING_WEIGHT = 256 * 1024;
/** What a lane takes back into memory at a time. */
const LOAD_WEIGHT = 1024 * 1024;

export class Lanes {
  readonly #options: LanesOptions;
  readonly #lanes = new Map<string, Lane>();
  /** The longest waiting first. */
  readonly #ready = new Set<Lane>();
  #runs = 0;
  #weight = 0;
  #closed = false;
  #idle: PromiseWithResolvers<void> | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  /** Of all items that wait or are under way. */
  get weight(): number {
    return this.#weight;
  }

  push(item: Item): void {
    if (this.#closed) return;
    let lane = this.#lanes.get(item.lane);
    if (lane === undefined) {
      lane = { key: item.lane, items: new Queue(), state: "ready", timer: undefined, loaded: 0 };
      this.#lanes.set(item.lane, lane);
      this.#ready.add(lane);
    } else if (lane.state === "waiting" && lane.loaded >= WAITING_WEIGHT) item.event = undefined;
    lane.items.push(item);
    this.#weigh(lane, item, 1);
    this.#pump();
  }

  /** Gives the parked items at the front of a lane their events back, as far as they are given and memory allows. */
  load(key: string, eventOf: (item: Item) => EventEnvelope | undefined): void {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return;
    for (const item of lane.items) {
      if (item.event !== undefined) continue;
      const event = lane.loaded < LOAD_WEIGHT ? eventOf(item) : undefined;
      if (event === undefined) return;
      this.#weigh(lane, item, -1);
      item.event = event;
      this.#weigh(lane, item, 1);
    }
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    if (this.#weight < MAX_WEIGHT || this.#closed) return;
    this.#room ??= Promise.withResolvers();
    await this.#room.promise;
  }

  /** Starts nothing more and forgets what waits; resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ready.clear();
    for (const lane of this.#lanes.values()) clearTimeout(lane.timer);
    this.#lanes.clear();
    this.#room?.resolve();
    if (this.#runs === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  #pump(): void {
    const limit = this.#options.batchSize > 1 ? 1 : this.#options.concurrency;
    while (!this.#closed && this.#runs < limit && this.#ready.size > 0) {
      const taken = this.#take();
      this.#runs += 1;
      void this.#run(taken);
    }
  }

  /** Items of the lanes whose turn it is, together only where nothing tells them apart but their keys. */
  #take(): ReadonlyMap<Lane, readonly Item[]> {
    const taken = new Map<Lane, readonly Item[]>();
    let left = this.#options.batchSize;
    let sample: Item | undefined;
    for (const lane of this.#ready) {
      const items: Item[] = [];
      for (const item of lane.items) {
        if (left === 0 || (sample && !together(sample, item))) break;
        sample ??= item;
        items.push(item);
        left -= 1;
      }
      if (items.length > 0) taken.set(lane, items);
      if (left === 0 || (sample && !together(sample, sample))) break;
    }
    for (const [lane, items] of taken) {
      this.#ready.delete(lane);
      lane.state = "running";
      for (const _ of items) lane.items.shift();
    }
    return taken;
  }

  async #run(taken: ReadonlyMap<Lane, readonly Item[]>): Promise<void> {
    const returned = await this.#options.run([...taken.values()].flat());
    this.#runs -= 1;
    if (this.#closed) {
      if (this.#runs === 0) this.#idle?.resolve();
      return;
    }
    const returnedTo = Map.groupBy(returned, ({ item }) => item.lane);
    for (const [lane, items] of taken) {
      for (const item of items) this.#weigh(lane, item, -1);
      this.#settle(lane, returnedTo.get(lane.key) ?? []);
    }
    if (this.#weight < MAX_WEIGHT) {
      this.#room?.resolve();
      this.#room = undefined;
    }
    this.#pump();
  }

  #settle(lane: Lane, returned: readonly Returned[]): void {
    lane.items.unshift(returned.map(({ item }) => item));
    for (const { item } of returned) this.#weigh(lane, item, 1);
    if (lane.items.empty) {
      this.#lanes.delete(lane.key);
      return;
    }
    const delayMs = returned[0]?.delayMs ?? 0;
    if (delayMs === 0) {
      lane.state = "ready";
      this.#ready.add(lane);
      return;
    }
    lane.state = "waiting";
    this.#parkMost(lane);
    lane.timer = setTimeout(() => {
      lane.state = "ready";
      this.#ready.add(lane);
      this.#pump();
    }, delayMs);
  }

  #parkMost(lane: Lane): void {
    let kept = 0;
    for (const item of lane.items) {
      if (item.event === undefined) continue;
      kept += EVENT_WEIGHT + item.event.data.length;
      if (kept <= WAITING_WEIGHT) continue;
      this.#weigh(lane, item, -1);
      item.event = undefined;
      this.#weigh(lane, item, 1);
    }
  }

  #weigh(lane: Lane, { event }: Item, times: 1 | -1): void {
    const weight = event === undefined ? PARKED_WEIGHT : EVENT_WEIGHT + event.data.length;
    this.#weight += times * weight;
    if (event !== undefined) lane.loaded += times * weight;
  }
}

/** What fails alone is repeated alone, what was parked is read first, and a delivery has one replay's id. */
function together(first: Item, next: Item): boolean {
  const plain = ({ failures, event }: Item) => failures === 0 && event !== undefined;
  return plain(first) && plain(next) && first.replayId === next.replayId;
}
