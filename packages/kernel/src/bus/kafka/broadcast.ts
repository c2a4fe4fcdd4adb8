/** A broadcast subscription: this process reads topics from their present end on, and says where it may have missed some. */
import { setTimeout as delay } from "node:timers/promises";
import type { Cluster } from "kafkajs";
import type { Logger } from "pino";
import type { BroadcastOptions } from "../bus.ts";
import type { KafkaClient } from "./client.ts";
import { eventOf, type KafkaRecord } from "./event-message.ts";
import type { KafkaNames } from "./names.ts";
import { endsOf, Reader } from "./reader.ts";
import type { Topics } from "./topics.ts";

export interface BroadcastDeps {
  readonly client: KafkaClient;
  readonly names: KafkaNames;
  readonly topics: Topics;
  readonly log: Logger;
}

const RETRY_MS = 200;
/** Something passes soon, as a new topic that its broker does not know yet; what fails so often is a problem. */
const SETTLE_AFTER = 3;

export class BroadcastParticipant {
  readonly #options: BroadcastOptions;
  readonly #deps: BroadcastDeps;
  readonly #stop = new AbortController();
  readonly #settled = Promise.withResolvers<void>();
  readonly #running: Promise<void>;
  /** Whether the caller was told that events come from now on; what is missed after that is a gap. */
  #promised = false;
  /** In a row. */
  #failures = 0;
  problem: string | undefined;

  constructor(options: BroadcastOptions, deps: BroadcastDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#running = this.#run();
  }

  /** Resolves when events begin to come, or Kafka turned out to be away. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** From here on the caller relies on it. */
  promise(): void {
    this.#promised = true;
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const stop = this.#stop.signal;
    while (!stop.aborted) {
      let cluster: Cluster | undefined;
      try {
        cluster = await this.#deps.client.cluster(() => this.#settled.resolve());
        await this.#attend(cluster, stop);
      } catch (error) {
        this.#failures += 1;
        if (this.#failures === SETTLE_AFTER) {
          this.problem = "a broadcast is not heard at the moment";
          this.#deps.log.warn({ err: error }, this.problem);
        }
      } finally {
        if (this.#failures >= SETTLE_AFTER) this.#settled.resolve();
        if (cluster) await this.#deps.client.close(cluster);
      }
      await delay(RETRY_MS, undefined, { signal: stop }).catch(() => {});
    }
    this.#settled.resolve();
  }

  /** Each time from the end: what came meanwhile is in the truth that the subscriber reads again. */
  async #attend(cluster: Cluster, stop: AbortSignal): Promise<void> {
    const { names, topics } = this.#deps;
    const wanted = this.#options.topics.map((topic) => names.topic(topic));
    const there = await topics.ensure(wanted);
    if (there.length < wanted.length) throw new Error("a topic is missing");
    await cluster.addMultipleTargetTopics([...wanted]);
    const positions = await endsOf(cluster, wanted, "latest");
    const missed = this.#promised;
    if (missed && !stop.aborted) this.#tell(() => this.#options.onGap());
    const reader = new Reader({
      cluster,
      positions,
      room: async () => {},
      onRecords: (records) => {
        for (const record of records) if (!stop.aborted) this.#hear(record);
      },
    });
    await reader.run(stop, () => {
      this.#failures = 0;
      this.problem = undefined;
      this.#settled.resolve();
    });
  }

  #hear(record: KafkaRecord): void {
    // Who may write into the topic decides whose fact it is, not what the message says.
    const source = this.#deps.names.sourceOf(record.topic) ?? "";
    this.#tell(() => this.#options.handle({ ...eventOf(record), source }));
  }

  #tell(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#deps.log.error({ err: error }, "a broadcast's handler failed");
    }
  }
}
