/**
 * Reads partitions from where it is told, without a group: a loop for each broker that leads some of them. It keeps the
 * positions; who reads decides what a record means and when there is room for more.
 */
import type { Cluster } from "kafkajs";
import type { KafkaRecord } from "./event-message.ts";

export interface Position {
  readonly topic: string;
  readonly partition: number;
  /** The offset to read next. */
  offset: number;
}

export interface ReaderOptions {
  readonly cluster: Cluster;
  /** Advanced as records come. */
  readonly positions: readonly Position[];
  /** Records of one partition, in their order. */
  readonly onRecords: (records: readonly KafkaRecord[], position: Position) => void;
  /** Resolves when there is room for more. */
  readonly room: () => Promise<void>;
}

/** How long a broker may wait for something to come: also how late a loop notices that it is to end. */
const MAX_WAIT_MS = 250;
/** While somebody reads what was parked, who would otherwise wait as long. */
const SHORT_WAIT_MS = 10;
const SHORT_FOR_MS = 1_000;
const MAX_BYTES = 4 * 1024 * 1024;
/** What does not fit is cut off within a batch, and comes again: so more than one batch of the largest size. */
const MAX_BYTES_OF_PARTITION = 2 * 1024 * 1024;

interface FetchedPartition {
  readonly partition: number;
  readonly messages: readonly (Omit<KafkaRecord, "topic" | "partition" | "offset" | "time"> & {
    readonly offset: string;
    readonly timestamp: string;
    readonly isControlRecord: boolean;
  })[];
}

export class Reader {
  readonly #options: ReaderOptions;
  /** kafkajs sends all fetches to a broker over one connection, and may open two where two begin at once. */
  readonly #turns = new Map<string, Promise<unknown>>();

  #readTime = Number.NEGATIVE_INFINITY;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads until `stop` is aborted. `reading` is called when every broker has answered once and was asked again: a connection
   * that breaks from then on is noticed. @throws where a broker fails, or no longer leads: positions are kept, run it again.
   */
  async run(stop: AbortSignal, reading: () => void = () => {}): Promise<void> {
    const { cluster, positions } = this.#options;
    const broken = new AbortController();
    const over = AbortSignal.any([stop, broken.signal]);
    const leaders = Map.groupBy(positions, ({ topic, partition }) => leaderOf(cluster, topic, partition));
    let silent = leaders.size;
    const answered = () => {
      silent -= 1;
      if (silent === 0) reading();
    };
    const loops = [...leaders].map(([leader, led]) =>
      this.#loop(leader, led, over, answered).catch((error) => {
        broken.abort();
        throw error;
      }),
    );
    const failed = (await Promise.allSettled(loops)).find((loop) => loop.status === "rejected");
    if (failed && !stop.aborted) throw failed.reason;
  }

  /** What is there from an offset on, at once: up to 2 MiB, at least one record where there is one. */
  async readAt(topic: string, partition: number, offset: number): Promise<readonly KafkaRecord[]> {
    this.#readTime = performance.now();
    const position = { topic, partition, offset };
    const leader = leaderOf(this.#options.cluster, topic, partition);
    const found = await this.#fetch(leader, [position], { maxWaitMs: 0, maxBytes: MAX_BYTES_OF_PARTITION });
    return found.get(position) ?? [];
  }

  async #loop(leader: string, positions: readonly Position[], over: AbortSignal, answered: () => void): Promise<void> {
    for (let fetches = 0; !over.aborted; fetches++) {
      await this.#options.room();
      if (over.aborted) return;
      const maxWaitMs = fetches === 0 ? 0 : this.#waitMs();
      const fetching = this.#fetch(leader, positions, { maxWaitMs, maxBytes: MAX_BYTES });
      if (fetches === 1) answered();
      const found = await fetching;
      if (over.aborted) return;
      for (const [position, records] of found) {
        const last = records.at(-1);
        if (last === undefined) continue;
        position.offset = last.offset + 1;
        this.#options.onRecords(records, position);
      }
    }
  }

  #waitMs(): number {
    return performance.now() - this.#readTime < SHORT_FOR_MS ? SHORT_WAIT_MS : MAX_WAIT_MS;
  }

  async #fetch(
    nodeId: string,
    positions: readonly Position[],
    { maxWaitMs, maxBytes }: { maxWaitMs: number; maxBytes: number },
  ): Promise<ReadonlyMap<Position, readonly KafkaRecord[]>> {
    const topics = [...Map.groupBy(positions, ({ topic }) => topic)].map(([topic, those]) => ({
      topic,
      partitions: those.map(({ partition, offset }) => ({
        partition,
        fetchOffset: String(offset),
        maxBytes: MAX_BYTES_OF_PARTITION,
      })),
    }));
    const { responses } = await this.#inTurn(nodeId, async () => {
      const broker = await this.#options.cluster.findBroker({ nodeId });
      return await broker.fetch({ topics, maxWaitTime: maxWaitMs, minBytes: 1, maxBytes });
    });
    const found = new Map<Position, readonly KafkaRecord[]>();
    for (const { topicName, partitions } of responses as { topicName: string; partitions: FetchedPartition[] }[]) {
      for (const { partition, messages } of partitions) {
        const position = positions.find((one) => one.topic === topicName && one.partition === partition);
        if (position) found.set(position, recordsOf(position, messages));
      }
    }
    return found;
  }

  async #inTurn<T>(nodeId: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(nodeId) ?? Promise.resolve()).then(work);
    this.#turns.set(
      nodeId,
      turn.catch(() => {}),
    );
    return await turn;
  }
}

/** Batches are given out whole: what is before the offset that was asked for comes too. */
function recordsOf(
  { topic, partition, offset: from }: Position,
  messages: FetchedPartition["messages"],
): KafkaRecord[] {
  const records: KafkaRecord[] = [];
  for (const { offset, timestamp, key, value, headers, isControlRecord } of messages) {
    if (Number(offset) < from || isControlRecord) continue;
    records.push({ topic, partition, offset: Number(offset), time: Number(timestamp), key, value, headers });
  }
  return records;
}

/** @throws where it is not known: then the cluster's metadata is to be read again. */
function leaderOf(cluster: Cluster, topic: string, partition: number): string {
  const [leader] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]));
  if (leader !== undefined) return leader;
  throw new Error(`nobody leads ${topic}/${partition}`);
}

/** The first offset that is kept (`earliest`), or the one that the next record will have (`latest`), of each partition. */
export async function endsOf(
  cluster: Cluster,
  topics: readonly string[],
  end: "earliest" | "latest",
): Promise<readonly Position[]> {
  const asked = topics.map((topic) => ({
    topic,
    partitions: cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ partition: partitionId })),
    fromBeginning: end === "earliest",
  }));
  const answered = await cluster.fetchTopicsOffset(asked);
  return answered.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) })),
  );
}
