/** A broadcast subscription: this process reads topics from their present end on, and says where it may have missed some. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Connection } from "../../database/connection.ts";
import type { ConnectionPool } from "../../database/connection-pool.ts";
import type { BroadcastOptions } from "../bus.ts";
import { Wake } from "../wake.ts";
import { type EventRow, envelopeOf } from "./event-row.ts";
import type { Participant } from "./session.ts";
import { shareKey } from "./share.ts";

const POLL_MS = 1_000;
const RETRY_MS = 200;
const READ_LIMIT = 500;

interface End {
  readonly topic: string;
  readonly partition: number;
  next: bigint;
}

export class BroadcastParticipant implements Participant {
  readonly #options: BroadcastOptions;
  readonly #pool: ConnectionPool;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #positioned = Promise.withResolvers<void>();
  readonly #wake = new Wake();
  #ends = new Map<string, End>();
  #attending: Promise<void> = Promise.resolve();
  /** Whether the caller was told that events come from now on; what is missed after that is a gap. */
  #promised = false;

  constructor(options: BroadcastOptions, pool: ConnectionPool, log: Logger) {
    this.#options = options;
    this.#pool = pool;
    this.#log = log;
  }

  /** Resolves when events begin to come. */
  get positioned(): Promise<void> {
    return this.#positioned.promise;
  }

  /** From here on the caller relies on it. */
  promise(): void {
    this.#promised = true;
  }

  attend(connection: Connection): Promise<void> {
    connection.lost.addEventListener("abort", () => this.#wake.call(), { once: true });
    this.#attending = this.#attend(connection);
    return this.#attending;
  }

  published(topic: string): void {
    if (this.#options.topics.includes(topic)) this.#wake.call();
  }

  regrouped(): void {}

  async end(): Promise<void> {
    this.#stop.abort();
    this.#positioned.resolve();
    this.#wake.call();
    await this.#attending;
  }

  async #attend(connection: Connection): Promise<void> {
    const over = () => this.#stop.signal.aborted || connection.lost.aborted;
    let positioned = false;
    while (!over()) {
      try {
        if (!positioned) {
          const missed = this.#promised;
          this.#ends = await this.#readEnds();
          positioned = true;
          this.#positioned.resolve();
          if (missed && !over()) this.#tell(() => this.#options.onGap());
        }
        if (!(await this.#deliver(over))) await this.#wake.wait(POLL_MS);
      } catch (error) {
        if (over()) return;
        this.#log.warn({ err: error }, "reading a broadcast failed; it is repeated");
        await delay(RETRY_MS);
      }
    }
  }

  async #readEnds(): Promise<Map<string, End>> {
    const rows = await this.#pool.use((connection) =>
      connection.query<{ topic: string; partition: number; next_offset: string }>("select * from bus.ends($1)", [
        this.#options.topics,
      ]),
    );
    return new Map(
      rows.map(({ topic, partition, next_offset }) => [
        shareKey(topic, partition),
        { topic, partition, next: BigInt(next_offset) },
      ]),
    );
  }

  /** A topic that came after the subscription is read from its beginning. */
  async #findNewTopics(): Promise<void> {
    const known = new Set([...this.#ends.values()].map(({ topic }) => topic));
    if (this.#options.topics.every((topic) => known.has(topic))) return;
    for (const [key, end] of await this.#readEnds()) {
      if (!this.#ends.has(key)) this.#ends.set(key, { ...end, next: 1n });
    }
  }

  /** Whether there was something. */
  async #deliver(over: () => boolean): Promise<boolean> {
    await this.#findNewTopics();
    const ends = [...this.#ends.values()];
    if (ends.length === 0) return false;
    const rows = await this.#pool.use((connection) =>
      connection.query<EventRow & { partition: number; offset: string }>(
        "select * from bus.read(null, $1, $2, $3, $4)",
        [
          ends.map(({ topic }) => topic),
          ends.map(({ partition }) => partition),
          ends.map(({ next }) => String(next)),
          READ_LIMIT,
        ],
      ),
    );
    for (const row of rows) {
      if (over()) return false;
      const end = this.#ends.get(shareKey(row.topic, row.partition));
      if (end) end.next = BigInt(row.offset) + 1n;
      this.#tell(() => this.#options.handle(envelopeOf(row)));
    }
    return rows.length > 0;
  }

  #tell(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error({ err: error }, "a broadcast's handler failed");
    }
  }
}
