/** The topics of the bus: made where they are missing, compared with what was asked for where they are there. */
import type { Admin } from "kafkajs";
import type { Logger } from "pino";
import { failureType, isRefused } from "./failure.ts";
import type { Renewed } from "./renewed.ts";

export interface TopicSettings {
  /** Of each topic of facts. It decides which key is in which partition: never changed later. */
  readonly partitions: number;
  /** How many brokers keep each event. 0: three, or as many as there are. */
  readonly replication: number;
  /** How long events are kept. Kafka drops whole segments, so that they may stay longer. */
  readonly retentionMs: number;
}

type Kind = "events" | "dead letters";

export class Topics {
  readonly #admin: Renewed<Admin>;
  readonly #settings: TopicSettings;
  readonly #log: Logger;
  /** What was said once. */
  readonly #compared = new Set<string>();

  constructor(admin: Renewed<Admin>, settings: TopicSettings, log: Logger) {
    this.#admin = admin;
    this.#settings = settings;
    this.#log = log;
  }

  list(): Promise<readonly string[]> {
    return this.#admin.use((admin) => admin.listTopics());
  }

  /** Whether it is there. */
  async has(topic: string): Promise<boolean> {
    return await this.#admin.use(async (admin) => (await partitionsOf(admin, topic)) > 0);
  }

  /** Those of `wanted` that are there now. One is missing only where Kafka does not let this service make it. */
  async ensure(wanted: readonly string[], kind: Kind = "events"): Promise<readonly string[]> {
    return await this.#admin.use(async (admin) => {
      const there: string[] = [];
      for (const topic of wanted) {
        const partitions = await partitionsOf(admin, topic);
        if (kind === "events") this.#compare(topic, partitions);
        if (partitions > 0 || (await this.#create(admin, topic, kind))) there.push(topic);
      }
      return there;
    });
  }

  /** Whether it is there now. */
  async #create(admin: Admin, topic: string, kind: Kind): Promise<boolean> {
    const { replication, partitions, retentionMs } = this.#settings;
    const replicationFactor = replication || Math.min(3, (await admin.describeCluster()).brokers.length);
    const config = {
      // Kafka's clock, so that the times of a replay mean the same for every publisher.
      "message.timestamp.type": "LogAppendTime",
      "min.insync.replicas": replicationFactor > 2 ? "2" : "1",
      // A dead letter stays until it is given again: that writes its id without a value.
      ...(kind === "events"
        ? { "cleanup.policy": "delete", "retention.ms": String(retentionMs) }
        : { "cleanup.policy": "compact" }),
    };
    try {
      await admin.createTopics({
        waitForLeaders: true,
        topics: [
          {
            topic,
            numPartitions: kind === "events" ? partitions : 1,
            replicationFactor,
            configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
          },
        ],
      });
      this.#log.info({ topic }, "a topic was made");
      return true;
    } catch (error) {
      if (failureType(error) === "TOPIC_ALREADY_EXISTS") return true;
      if (!isRefused(error)) throw error;
      this.#log.warn({ topic }, "a topic is missing, and Kafka does not let this service make it: make it by hand");
      return false;
    }
  }

  #compare(topic: string, partitions: number): void {
    const wanted = this.#settings.partitions;
    if (partitions === 0 || partitions === wanted || this.#compared.has(topic)) return;
    this.#compared.add(topic);
    const facts = { topic, partitions, wanted };
    this.#log.warn(facts, "a topic has another number of partitions than the settings say; it stays as it is");
  }
}

/** 0: there is no such topic. Asks for this one alone: kafkajs fails where any of those asked for has a problem. */
async function partitionsOf(admin: Admin, topic: string): Promise<number> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0]?.partitions.length ?? 0;
  } catch (error) {
    if (failureType(error) === "UNKNOWN_TOPIC_OR_PARTITION") return 0;
    throw error;
  }
}
