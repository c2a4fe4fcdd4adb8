/**
 * A process's part in a group for the life of one connection: holds some partitions, reads them, hands the events to the
 * handler in the order of their keys, and tells the server how far it came. A failed event and what follows it under the
 * same key moves to the server's `waiting`, so that nothing of it is held in memory and the partition goes on.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Connection } from "../../database/connection.ts";
import type { ConsumeOptions } from "../bus.ts";
import { Wake } from "../wake.ts";
import { envelopeOf } from "./event-row.ts";
import type { GroupStore, ReadRow, WaitingRow } from "./group-store.ts";
import { type Item, sameKey } from "./item.ts";
import { Lanes } from "./lanes.ts";
import { Share, shareKey } from "./share.ts";

/** Also how long a dead member's partitions stay unread at most. */
const POLL_MS = 1_000;
const ADVANCE_MS = 50;
const RETRY_MS = 200;
const READ_LIMIT = 500;
/** In bytes, each event counting for at least 4 KiB. */
const MAX_WEIGHT = 16 * 1024 * 1024;
const MAX_WAITING_TAKEN = 256;
const MAX_ERROR_LENGTH = 1_000;

export type GroupOptions = Required<ConsumeOptions>;

export class Membership {
  readonly #options: GroupOptions;
  readonly #store: GroupStore;
  readonly #connection: Connection;
  readonly #log: Logger;
  readonly #stop: AbortSignal;
  readonly #wake = new Wake();
  readonly #lanes: Lanes<Item>;
  readonly #shares = new Map<string, Share>();
  /** Rows of `waiting` that are in the lanes. */
  readonly #taken = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Reading and failing exclude each other: an event is never put into a lane whose key has just begun to wait. */
  #turn: Promise<unknown> = Promise.resolve();
  #balanceTime = 0;
  #waitingUnread = true;
  #advancing = false;

  constructor(options: GroupOptions, store: GroupStore, connection: Connection, stop: AbortSignal, log: Logger) {
    this.#options = options;
    this.#store = store;
    this.#connection = connection;
    this.#stop = stop;
    this.#log = log;
    const { batchSize, concurrency } = options;
    this.#lanes = new Lanes<Item>({
      // Batches are of any keys, and come one at a time.
      laneOf: (item) => (batchSize > 1 ? "" : `${item.share.topic}\0${item.event.key}`),
      concurrency: batchSize > 1 ? 1 : concurrency,
      batchSize,
      together: (first, next) => first.attempt === 1 && next.attempt === 1 && first.replayId === next.replayId,
      weightOf: ({ event }) => 4_096 + event.data.length,
      run: (items) => this.#handle(items),
    });
    stop.addEventListener("abort", () => this.#wake.call(), { once: true });
    connection.lost.addEventListener("abort", () => this.#wake.call(), { once: true });
  }

  /** Works until the connection is lost or `stop` is aborted. `balanced` is called when it first holds its partitions. */
  async run(balanced: () => void): Promise<void> {
    while (!this.#over) {
      try {
        const found = await this.#step();
        balanced();
        if (!found) await this.#wake.wait(POLL_MS);
      } catch (error) {
        if (this.#over) break;
        this.#log.warn({ err: error, group: this.#options.group }, "reading events failed; it is repeated");
        await delay(RETRY_MS);
      }
    }
    await this.#finish();
  }

  /** Something was published into a topic. */
  published(topic: string): void {
    let known = false;
    for (const share of this.#shares.values()) {
      if (share.topic !== topic) continue;
      share.unread = true;
      known = true;
    }
    const { topics } = this.#options;
    if (!known && (topics === "*" || topics.includes(topic))) this.#balanceTime = 0;
    this.#wake.call();
  }

  /** The group's members or its waiting events changed. */
  regrouped(): void {
    this.#balanceTime = 0;
    this.#waitingUnread = true;
    this.#wake.call();
  }

  get #over(): boolean {
    return this.#stop.aborted || this.#connection.lost.aborted;
  }

  /** Does what there is to do; whether there may be more. */
  async #step(): Promise<boolean> {
    if (performance.now() - this.#balanceTime >= POLL_MS || this.#balanceTime === 0) await this.#balance();
    await this.#giveLeaving();
    return this.#lanes.weight < MAX_WEIGHT && (await this.#exclusively(() => this.#fill()));
  }

  /** Takes what is this member's, and finds what it is to hand over. Polls everything once as well. */
  async #balance(): Promise<void> {
    this.#balanceTime = performance.now();
    const rows = await this.#store.balance();
    const held = new Set(rows.map((row) => shareKey(row.topic, row.partition)));
    for (const [key, share] of this.#shares) {
      share.unread = true;
      if (held.has(key)) continue;
      this.#drop(share);
      this.#shares.delete(key);
    }
    for (const row of rows) {
      const key = shareKey(row.topic, row.partition);
      let share = this.#shares.get(key);
      if (share === undefined) {
        share = new Share(row.topic, row.partition, BigInt(row.next_offset));
        this.#shares.set(key, share);
      }
      share.leaving = !row.keep;
      if (share.leaving) this.#drop(share);
    }
    this.#waitingUnread = true;
  }

  async #giveLeaving(): Promise<void> {
    const given = [...this.#shares.values()].filter((share) => share.leaving && share.running === 0);
    if (given.length === 0) return;
    await this.#advance();
    await this.#store.give(given);
    for (const { topic, partition } of given) this.#shares.delete(shareKey(topic, partition));
  }

  /** Forgets what waits of a partition; it is read again by whoever holds it next. */
  #drop(share: Share): void {
    for (const { waitingId } of this.#lanes.remove((item) => item.share === share)) {
      if (waitingId !== undefined) this.#taken.delete(waitingId);
    }
  }

  /** Reads what there is; whether it found anything. */
  async #fill(): Promise<boolean> {
    const waiting = await this.#takeWaiting();
    const shares = [...this.#shares.values()].filter((share) => share.unread && !share.leaving);
    if (shares.length === 0) return waiting;
    for (const share of shares) share.unread = false;
    try {
      const positions = shares.map(({ topic, partition, nextOffset }) => ({ topic, partition, offset: nextOffset }));
      const rows = await this.#store.read(positions, READ_LIMIT);
      await this.#admit(rows);
      // What the limits cut off is found by reading until nothing comes.
      if (rows.length > 0) for (const share of shares) share.unread = true;
      return waiting || rows.length > 0;
    } catch (error) {
      for (const share of shares) share.unread = true;
      throw error;
    }
  }

  async #admit(rows: readonly ReadRow[]): Promise<void> {
    const heldBack = rows.filter((row) => row.held_back);
    if (heldBack.length > 0) {
      const positions = heldBack.map((row) => ({ ...row, offset: BigInt(row.offset) }));
      await this.#store.holdBack(positions);
      this.#waitingUnread = true;
    }
    for (const row of rows) {
      const share = this.#shares.get(shareKey(row.topic, row.partition));
      if (share === undefined) continue;
      const offset = BigInt(row.offset);
      share.read(offset);
      if (row.held_back) share.done(offset);
      else this.#lanes.push({ event: envelopeOf(row), share, offset, attempt: 1, replayId: "", waitingId: undefined });
    }
    if (heldBack.length > 0) this.#advanceSoon();
  }

  async #takeWaiting(): Promise<boolean> {
    const room = MAX_WAITING_TAKEN - this.#taken.size;
    if (!this.#waitingUnread || room <= 0) return false;
    this.#waitingUnread = false;
    const rows = await this.#store.due([...this.#taken], room);
    for (const row of rows) this.#takeRow(row);
    if (rows.length > 0) this.#waitingUnread = true;
    return rows.length > 0;
  }

  #takeRow(row: WaitingRow): void {
    const share = this.#shares.get(shareKey(row.topic, row.partition));
    if (share === undefined || share.leaving) return;
    this.#taken.add(row.waiting_id);
    this.#lanes.push({
      event: envelopeOf(row),
      share,
      offset: BigInt(row.offset),
      attempt: row.attempts + 1,
      replayId: row.replay_id,
      waitingId: row.waiting_id,
    });
  }

  async #handle(items: readonly Item[]): Promise<void> {
    for (const { share } of items) share.running += 1;
    try {
      if (!this.#over) await this.#attempt(items);
    } catch (error) {
      // Only a lost membership comes here: whoever is next reads it all again.
      this.#log.debug({ err: error, group: this.#options.group }, "events were left to the next member");
    }
    for (const { share } of items) share.running -= 1;
    this.#wake.call();
  }

  async #attempt(items: readonly Item[]): Promise<void> {
    const [first] = items;
    if (first === undefined) return;
    try {
      const events = items.map(({ event }) => event);
      await this.#options.handle(events, { attempt: first.attempt, replayId: first.replayId });
    } catch (error) {
      if (items.length === 1) await this.#fail(first, error, []);
      else await this.#attemptEach(items);
      return;
    }
    await this.#done(items);
  }

  async #attemptEach(items: readonly Item[]): Promise<void> {
    const left = [...items];
    for (let item = left.shift(); item && !this.#over; item = left.shift()) {
      const one = item;
      try {
        await this.#options.handle([one.event], { attempt: one.attempt, replayId: one.replayId });
      } catch (error) {
        const behind = left.filter((later) => sameKey(later, one));
        left.splice(0, left.length, ...left.filter((later) => !sameKey(later, one)));
        await this.#fail(one, error, behind);
        continue;
      }
      await this.#done([one]);
    }
  }

  async #done(items: readonly Item[]): Promise<void> {
    const waitingIds = items.flatMap(({ waitingId }) => waitingId ?? []);
    if (waitingIds.length > 0) {
      await this.#persist(() => this.#store.settle(waitingIds));
      for (const waitingId of waitingIds) this.#taken.delete(waitingId);
      this.#waitingUnread = true;
    }
    this.#release(items);
  }

  async #fail(item: Item, error: unknown, taken: readonly Item[]): Promise<void> {
    const { group, maxAttempts } = this.#options;
    const { event, share, offset, attempt, replayId } = item;
    const outcome = await this.#exclusively(async () => {
      const behind = [...taken, ...this.#lanes.remove((later) => sameKey(later, item))];
      const offsets = behind.filter(({ waitingId }) => waitingId === undefined).map((later) => later.offset);
      const message = (error instanceof Error ? error.message : String(error)).slice(0, MAX_ERROR_LENGTH);
      const moved = await this.#persist(() =>
        this.#store.fail({ ...share, offset, replayId, error: message, maxAttempts, behind: offsets }),
      );
      for (const { waitingId } of [item, ...behind]) if (waitingId !== undefined) this.#taken.delete(waitingId);
      this.#release([item, ...behind]);
      return moved;
    });
    const facts = { err: error, group, event: event.id, type: event.type, key: event.key, attempt };
    if (outcome === "buried") this.#log.error(facts, "an event could not be handled and is a dead letter now");
    else this.#log.warn(facts, "an event could not be handled; it is tried again");
    this.#after(outcome === "buried" || outcome === "lost" ? 0 : outcome.dueInMs, () => {
      this.#waitingUnread = true;
      this.#wake.call();
    });
  }

  #release(items: readonly Item[]): void {
    for (const { share, offset, waitingId } of items) if (waitingId === undefined) share.done(offset);
    this.#advanceSoon();
  }

  #advanceSoon(): void {
    if (this.#advancing || this.#over) return;
    this.#advancing = true;
    this.#after(ADVANCE_MS, async () => {
      this.#advancing = false;
      await this.#persist(() => this.#advance()).catch(() => {});
    });
  }

  async #advance(): Promise<void> {
    const advanced = [...this.#shares.values()].filter((share) => share.advanced);
    if (advanced.length === 0) return;
    const positions = advanced.map((share) => ({ ...share, offset: share.reached }));
    await this.#store.advance(positions);
    for (const [index, share] of advanced.entries()) share.told(positions[index]?.offset ?? share.reached);
  }

  async #finish(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#lanes.remove(() => true);
    await this.#lanes.idle();
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#connection.lost.aborted) return;
    // Where this fails the server notices by itself that the member is gone.
    await this.#advance().catch(() => {});
    await this.#store.leave().catch(() => {});
  }

  /** Repeats what must not be left out, for as long as the partitions are this member's. */
  async #persist<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (this.#connection.lost.aborted) throw error;
        this.#log.warn(
          { err: error, group: this.#options.group },
          "the bus could not be told of progress; it is repeated",
        );
        await delay(RETRY_MS);
      }
    }
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #after(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, delayMs);
    this.#timers.add(timer);
  }
}
