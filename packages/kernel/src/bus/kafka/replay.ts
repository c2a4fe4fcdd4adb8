/** Past events for one group again: copied into the group's redelivery topic, where its members find them beside new ones. */
import { newId } from "@switchboard/contract/ids";
import type { Cluster } from "kafkajs";
import type { ReplayRange } from "../bus.ts";
import type { KafkaClient } from "./client.ts";
import { eventOf, type KafkaRecord, messageOf, REPLAY_HEADER } from "./event-message.ts";
import { readLog, type Stretch, withCluster } from "./log-reader.ts";
import type { KafkaNames } from "./names.ts";
import type { Publisher } from "./publisher.ts";
import { shareKey } from "./share.ts";
import type { Topics } from "./topics.ts";

export interface ReplayDeps {
  readonly client: KafkaClient;
  readonly names: KafkaNames;
  readonly topics: Topics;
  readonly publisher: Publisher;
}

/** Resolves with the replay's id when all is copied. Should it break off, the group may get a part under an id of its own. */
export async function replay({ client, names, topics, publisher }: ReplayDeps, range: ReplayRange): Promise<string> {
  const replayId = newId();
  const topic = names.topic(range.topic);
  const redelivery = names.redelivery(range.group);
  await topics.ensure([redelivery]);
  if (!(await topics.has(topic))) return replayId;
  await withCluster(client, [topic], async (cluster) => {
    for (const stretch of await stretches(cluster, topic, range)) {
      for await (const records of readLog(cluster, stretch)) {
        await publisher.send(
          redelivery,
          records.map((record) => copyOf(record, range.topic, replayId)),
        );
      }
    }
  });
  return replayId;
}

function copyOf(record: KafkaRecord, source: string, replayId: string) {
  const message = messageOf({ ...eventOf(record), source });
  return { ...message, headers: { ...message.headers, [REPLAY_HEADER]: replayId } };
}

/** By the times at which Kafka took the events (LogAppendTime). */
async function stretches(
  cluster: Cluster,
  topic: string,
  { fromTime, toTime }: ReplayRange,
): Promise<readonly Stretch[]> {
  const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ partition: partitionId }));
  const offsets = async (at: { fromBeginning: boolean } | { fromTimestamp: number }) => {
    const answered = await cluster.fetchTopicsOffset([{ topic, partitions, ...at } as never]);
    return new Map(
      answered.flatMap((one) =>
        one.partitions.map(({ partition, offset }) => [shareKey({ topic, partition }), Number(offset)] as const),
      ),
    );
  };
  const ends = await offsets({ fromBeginning: false });
  const froms = await offsets({ fromTimestamp: Math.max(0, Math.ceil(fromTime)) });
  const tos = await offsets({ fromTimestamp: Math.max(0, Math.ceil(toTime)) });
  return partitions.map(({ partition }) => {
    const key = shareKey({ topic, partition });
    const end = ends.get(key) ?? 0;
    // -1: nothing is as late as that.
    const orEnd = (offset = -1) => (offset < 0 ? end : Math.min(offset, end));
    return { topic, partition, from: orEnd(froms.get(key)), to: orEnd(tos.get(key)) };
  });
}
