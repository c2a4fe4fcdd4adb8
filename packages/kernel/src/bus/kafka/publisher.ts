/** Sends messages, each batch safe on all replicas in sync before it counts as sent. One idempotent producer at a time. */
import type { Producer } from "kafkajs";
import type { KafkaClient } from "./client.ts";
import { type EventMessage, sizeOf } from "./event-message.ts";
import { Renewed } from "./renewed.ts";

/** A message without a value removes what has its key, where the topic is compacted. */
export type Outgoing =
  | EventMessage
  | { readonly key: string; readonly value: null; readonly headers: EventMessage["headers"] };

interface Entry {
  readonly topic: string;
  readonly message: Outgoing;
  readonly size: number;
  readonly call: Call;
}

/** The messages of one call; where one of them fails the later ones are not sent. */
interface Call {
  left: number;
  failed: boolean;
  readonly outcome: PromiseWithResolvers<void>;
}

/** kafkajs makes one batch of all messages for a partition; a broker takes up to 1,048,588 bytes of it (message.max.bytes). */
const CHUNK_BYTES = 1_000_000;
const CHUNK_COUNT = 2_000;
const ALL_REPLICAS = -1;
const REPLICATION_TIMEOUT_MS = 8_000;

export class Publisher implements AsyncDisposable {
  readonly #producer: Renewed<Producer>;
  readonly #queue: Entry[] = [];
  #sending: Promise<void> = Promise.resolve();
  #busy = false;

  /**
   * A producer whose sending failed is not used again: kafkajs gives its sequence numbers to the next batch, and where
   * the broker had stored the first after all it takes the second for a repetition and drops it.
   */
  constructor(client: KafkaClient) {
    this.#producer = new Renewed(() => client.producer());
  }

  /** Calls that come while another is under way are sent together. Order is kept within a call, and over calls awaited. */
  async send(topic: string, messages: readonly Outgoing[]): Promise<void> {
    if (messages.length === 0) return;
    const call: Call = { left: messages.length, failed: false, outcome: Promise.withResolvers() };
    for (const message of messages) this.#queue.push({ topic, message, size: sizeOfAny(message), call });
    if (!this.#busy) {
      this.#busy = true;
      this.#sending = this.#drain();
    }
    await call.outcome.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sending;
    await this.#producer[Symbol.asyncDispose]();
  }

  async #drain(): Promise<void> {
    for (let chunk = this.#take(); chunk.length > 0; chunk = this.#take()) {
      try {
        await this.#producer.use((producer) => sendChunk(producer, chunk));
        for (const { call } of chunk) {
          call.left -= 1;
          if (call.left === 0) call.outcome.resolve();
        }
      } catch (error) {
        for (const { call } of chunk) {
          call.failed = true;
          call.outcome.reject(error);
        }
      }
    }
    this.#busy = false;
  }

  #take(): readonly Entry[] {
    const chunk: Entry[] = [];
    let size = 0;
    let taken = 0;
    for (const entry of this.#queue) {
      if (!entry.call.failed) {
        if (chunk.length > 0 && (size + entry.size > CHUNK_BYTES || chunk.length >= CHUNK_COUNT)) break;
        chunk.push(entry);
        size += entry.size;
      }
      taken += 1;
    }
    this.#queue.splice(0, taken);
    return chunk;
  }
}

function sizeOfAny(message: Outgoing): number {
  return message.value === null ? 128 : sizeOf(message);
}

async function sendChunk(producer: Producer, chunk: readonly Entry[]): Promise<void> {
  const topics = Map.groupBy(chunk, ({ topic }) => topic);
  await producer.sendBatch({
    acks: ALL_REPLICAS,
    timeout: REPLICATION_TIMEOUT_MS,
    topicMessages: [...topics].map(([topic, entries]) => ({ topic, messages: entries.map(({ message }) => message) })),
  });
}
