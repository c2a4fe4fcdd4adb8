/** Reads a stretch of one partition and ends: for what was written before now. Nobody's place in it moves. */
import type { Cluster } from "kafkajs";
import type { KafkaClient } from "./client.ts";
import type { KafkaRecord } from "./event-message.ts";
import { Reader } from "./reader.ts";

/** Works with brokers of its own. @throws where one of the topics is not there. */
export async function withCluster<T>(
  client: KafkaClient,
  topics: readonly string[],
  work: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = await client.cluster();
  try {
    await cluster.addMultipleTargetTopics([...topics]);
    return await work(cluster);
  } finally {
    await client.close(cluster);
  }
}

export interface Stretch {
  readonly topic: string;
  readonly partition: number;
  /** Inclusive. */
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** In pieces of up to 2 MiB; what retention or compaction took is left out. */
export async function* readLog(
  cluster: Cluster,
  { topic, partition, from, to }: Stretch,
): AsyncGenerator<readonly KafkaRecord[]> {
  const reader = new Reader({ cluster, positions: [], onRecords: () => {}, room: async () => {} });
  for (let offset = from; offset < to; ) {
    const records = await reader.readAt(topic, partition, offset);
    const last = records.at(-1);
    if (last === undefined) return;
    offset = last.offset + 1;
    yield records.filter((record) => record.offset < to);
  }
}
