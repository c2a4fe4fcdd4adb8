/**
 * One generation of a membership at work: reads the partitions that it was given, hands events to the handler in the order
 * of their keys, and commits how far it came. It ends when Kafka wants the members to join again, when it lost its
 * membership, or when it is told to; then it waits for what is under way.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { Cluster } from "kafkajs";
import { ended } from "./ended.ts";
import { eventOf, type KafkaRecord, REPLAY_HEADER, textOf } from "./event-message.ts";
import { failureType } from "./failure.ts";
import type { GroupDeps, GroupOptions } from "./group.ts";
import { type Item, Lanes, type Returned } from "./lanes.ts";
import { type Membership, type Standing, standingAfter } from "./membership.ts";
import { endsOf, type Position, Reader } from "./reader.ts";
import { Share, shareKey } from "./share.ts";

const COMMIT_MS = 50;
const RETRY_MS = 200;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 30_000;

export class Generation {
  readonly #cluster: Cluster;
  readonly #membership: Membership;
  readonly #options: GroupOptions;
  readonly #deps: GroupDeps;
  readonly #shares: ReadonlyMap<string, Share>;
  readonly #positions: readonly Position[];
  readonly #reader: Reader;
  readonly #lanes: Lanes;
  /** Nothing more is begun. */
  readonly #over = new AbortController();
  #standing: Standing = "stands";

  /** Finds where to read on. */
  static async begin(
    cluster: Cluster,
    membership: Membership,
    options: GroupOptions,
    deps: GroupDeps,
  ): Promise<Generation> {
    const offsets = await membership.offsets();
    const shares = membership.places.map(({ topic, partition }) => {
      const committed = offsets.get(shareKey({ topic, partition })) ?? { offset: 0, note: "" };
      return { share: new Share(topic, partition, committed), offset: committed.offset };
    });
    return new Generation(cluster, membership, options, deps, shares);
  }

  private constructor(
    cluster: Cluster,
    membership: Membership,
    options: GroupOptions,
    deps: GroupDeps,
    shares: readonly { readonly share: Share; readonly offset: number }[],
  ) {
    this.#cluster = cluster;
    this.#membership = membership;
    this.#options = options;
    this.#deps = deps;
    this.#shares = new Map(shares.map(({ share }) => [shareKey(share), share]));
    this.#positions = shares.map(({ share: { topic, partition }, offset }) => ({ topic, partition, offset }));
    const { batchSize, concurrency } = options;
    this.#lanes = new Lanes({ batchSize, concurrency, run: (items) => this.#handle(items) });
    this.#reader = new Reader({
      cluster,
      positions: this.#positions,
      onRecords: (records, position) => this.#admit(records, position),
      room: () => this.#lanes.room(),
    });
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Ends it so that the next one begins. */
  rejoin(): void {
    this.#end("rejoin");
  }

  /** Resolves with what Kafka thinks of the membership, when nothing is under way and all is committed that can be. */
  async run(stop: AbortSignal): Promise<Standing> {
    if (stop.aborted) this.#over.abort();
    else stop.addEventListener("abort", () => this.#over.abort(), { once: true, signal: this.over });
    const drained = new AbortController();
    const beating = this.#beat(drained.signal);
    const committing = this.#commitRegularly();
    await this.#read();
    await this.#lanes.close();
    await committing;
    if (this.#standing !== "lost") await this.#commit().catch(() => {});
    drained.abort();
    await beating;
    return this.#standing;
  }

  #end(standing: Standing): void {
    if (standing === "lost" && this.#standing !== "lost") {
      this.#deps.log.warn(
        { group: this.#options.group },
        "the group's membership is lost: events under way come twice",
      );
    }
    // "lost" is the last word: a commit may hear of it before the heartbeat does.
    if (this.#standing !== "lost") this.#standing = standing;
    this.#over.abort();
  }

  /** Until nothing is under way: who is slow to give up is still alive. */
  async #beat(drained: AbortSignal): Promise<void> {
    const { heartbeatMs, sessionTimeoutMs } = this.#deps.timing;
    let heard = performance.now();
    while (!drained.aborted && this.#standing !== "lost") {
      await delay(heartbeatMs, undefined, { signal: drained }).catch(() => {});
      if (drained.aborted) return;
      try {
        const standing = await this.#membership.heartbeat();
        heard = performance.now();
        if (standing !== "stands") this.#end(standing);
      } catch (error) {
        this.#deps.log.debug({ err: error, group: this.#options.group }, "a heartbeat failed");
        // By now others may have its partitions.
        if (performance.now() - heard > sessionTimeoutMs) this.#end("lost");
      }
    }
  }

  async #read(): Promise<void> {
    let failing = false;
    while (!this.over.aborted) {
      try {
        if (failing) await this.#cluster.refreshMetadata();
        await this.#reader.run(this.over);
        if (this.#positions.length === 0) await ended(this.over);
      } catch (error) {
        if (!failing) this.#deps.log.info({ err: error, group: this.#options.group }, "reading stopped; it goes on");
        failing = true;
        if (failureType(error) === "OFFSET_OUT_OF_RANGE") await this.#moveIntoRange().catch(() => {});
        await delay(RETRY_MS, undefined, { signal: this.over }).catch(() => {});
      }
    }
  }

  /** Retention took what the group had not read yet, or the brokers lost what they had confirmed. */
  async #moveIntoRange(): Promise<void> {
    const topics = [...new Set(this.#positions.map(({ topic }) => topic))];
    const ends = async (end: "earliest" | "latest") =>
      new Map((await endsOf(this.#cluster, topics, end)).map((one) => [shareKey(one), one.offset]));
    const [earliest, latest] = [await ends("earliest"), await ends("latest")];
    for (const position of this.#positions) {
      const from = position.offset;
      const lowest = earliest.get(shareKey(position)) ?? 0;
      position.offset = Math.min(Math.max(from, lowest), latest.get(shareKey(position)) ?? lowest);
      if (position.offset === from) continue;
      const facts = { ...position, from, group: this.#options.group };
      this.#deps.log.error(facts, "events are gone that the group had not handled, or that Kafka had confirmed");
    }
  }

  #admit(records: readonly KafkaRecord[], position: Position): void {
    const share = this.#shares.get(shareKey(position));
    if (share === undefined) return;
    for (const record of records) {
      const failures = share.admit(record.offset);
      if (failures === undefined) continue;
      const event = this.#eventOf(record);
      const replayId = textOf(record.headers, REPLAY_HEADER);
      const lane = `${event.source}\0${event.key}`;
      this.#lanes.push({ lane, share, offset: record.offset, replayId, failures, event });
    }
  }

  /** Who may write into a topic decides whose fact it is; into the group's own only itself writes. */
  #eventOf(record: KafkaRecord): EventEnvelope {
    const source = this.#deps.names.sourceOf(record.topic);
    const event = eventOf(record);
    return source === undefined ? event : { ...event, source };
  }

  async #handle(items: readonly Item[]): Promise<readonly Returned[]> {
    const [first] = items;
    if (first === undefined || this.over.aborted) return [];
    const events = items.flatMap(({ event }) => event ?? []);
    if (events.length < items.length) return await this.#handleParked(first);
    if (items.length === 1) return await this.#attempt(first, events);
    try {
      await this.#options.handle(events, { attempt: 1, replayId: first.replayId });
    } catch {
      return await this.#attemptEach(items);
    }
    this.#done(items);
    return [];
  }

  async #attempt(item: Item, events: readonly EventEnvelope[]): Promise<readonly Returned[]> {
    try {
      await this.#options.handle(events, { attempt: item.failures + 1, replayId: item.replayId });
    } catch (error) {
      return await this.#fail(item, events, error);
    }
    this.#done([item]);
    return [];
  }

  async #attemptEach(items: readonly Item[]): Promise<readonly Returned[]> {
    const returned: Returned[] = [];
    for (const item of items) {
      const behind = this.over.aborted || returned.some((earlier) => earlier.item.lane === item.lane);
      if (behind) returned.push({ item, delayMs: 0 });
      else returned.push(...(await this.#attempt(item, item.event ? [item.event] : [])));
    }
    return returned;
  }

  /** Reads the event again, and what follows it in its lane. */
  async #handleParked(item: Item): Promise<readonly Returned[]> {
    const { share, lane } = item;
    let records: readonly KafkaRecord[];
    try {
      records = await this.#reader.readAt(share.topic, share.partition, item.offset);
    } catch {
      return [{ item, delayMs: RETRY_MS }];
    }
    const found = new Map(records.map((record) => [record.offset, record]));
    this.#lanes.load(lane, (parked) => {
      const record = parked.share === share ? found.get(parked.offset) : undefined;
      return record && this.#eventOf(record);
    });
    const record = found.get(item.offset);
    if (record) return await this.#attempt(item, [this.#eventOf(record)]);
    this.#deps.log.error({ ...share, offset: item.offset }, "an event was gone before it could be tried again");
    this.#done([item]);
    return [];
  }

  async #fail(item: Item, events: readonly EventEnvelope[], error: unknown): Promise<readonly Returned[]> {
    const { group, maxAttempts } = this.#options;
    const { share, offset, replayId } = item;
    item.failures += 1;
    const attempts = item.failures;
    const [event] = events;
    const facts = { err: error, group, event: event?.id, type: event?.type, key: event?.key, attempt: attempts };
    if (attempts < maxAttempts || event === undefined) {
      share.failed(offset, attempts);
      this.#deps.log.warn(facts, "an event could not be handled; it is tried again");
      return [{ item, delayMs: Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (attempts - 1)) }];
    }
    try {
      await this.#deps.deadLetters.bury({ group, event, attempts, error, replayId, ...share, offset });
    } catch (cause) {
      this.#deps.log.warn({ err: cause, group, event: event.id }, "a dead letter could not be kept; it is repeated");
      item.failures -= 1;
      return [{ item, delayMs: RETRY_MS }];
    }
    this.#deps.log.error(facts, "an event could not be handled and is a dead letter now");
    this.#done([item]);
    return [];
  }

  #done(items: readonly Item[]): void {
    for (const { share, offset } of items) share.done(offset);
  }

  async #commitRegularly(): Promise<void> {
    while (!this.over.aborted) {
      await delay(COMMIT_MS, undefined, { signal: this.over }).catch(() => {});
      if (this.over.aborted) return;
      try {
        await this.#commit();
      } catch (error) {
        const standing = standingAfter(error);
        if (standing !== undefined) this.#end(standing);
        else await delay(RETRY_MS, undefined, { signal: this.over }).catch(() => {});
      }
    }
  }

  async #commit(): Promise<void> {
    const taken = [...this.#shares.values()].flatMap((share) => {
      const committed = share.take();
      return committed ? [{ share, committed }] : [];
    });
    try {
      await this.#membership.commit(
        taken.map(({ share: { topic, partition }, committed }) => ({ topic, partition, ...committed })),
      );
    } catch (error) {
      for (const { share } of taken) share.untold();
      throw error;
    }
  }
}
