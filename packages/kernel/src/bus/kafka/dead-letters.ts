/**
 * Events that a group gave up on: a compacted topic of one partition for each group, the letter's id as key. A letter that
 * was given again is removed by its id without a value. Letters are found by reading the topic: there should be few.
 */
import { createHash } from "node:crypto";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { DeadLetter } from "../bus.ts";
import type { KafkaClient } from "./client.ts";
import { eventOf, type KafkaRecord, messageOf, REPLAY_HEADER, textOf } from "./event-message.ts";
import { readLog, withCluster } from "./log-reader.ts";
import type { KafkaNames } from "./names.ts";
import type { Publisher } from "./publisher.ts";
import { endsOf } from "./reader.ts";
import type { Topics } from "./topics.ts";

export interface Burial {
  readonly group: string;
  readonly event: EventEnvelope;
  readonly attempts: number;
  readonly error: unknown;
  readonly replayId: string;
  /** Where the event is. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

const ATTEMPTS_HEADER = "switchboard-attempts";
const ERROR_HEADER = "switchboard-error";
const MAX_ERROR_LENGTH = 1_000;

export class DeadLetters {
  readonly #client: KafkaClient;
  readonly #names: KafkaNames;
  readonly #topics: Topics;
  readonly #publisher: Publisher;

  constructor(client: KafkaClient, names: KafkaNames, topics: Topics, publisher: Publisher) {
    this.#client = client;
    this.#names = names;
    this.#topics = topics;
    this.#publisher = publisher;
  }

  /** Resolves when the letter is safe. The same event of the same place is the same letter, should it be buried twice. */
  async bury({ group, event, attempts, error, replayId, topic, partition, offset }: Burial): Promise<void> {
    const letters = this.#names.deadLetters(group);
    await this.#topics.ensure([letters], "dead letters");
    const { value, headers } = messageOf(event);
    const message = error instanceof Error ? error.message : String(error);
    const letter = {
      key: idOf(`${topic}/${partition}/${offset}`),
      value,
      headers: {
        ...headers,
        [ATTEMPTS_HEADER]: String(attempts),
        [ERROR_HEADER]: message.slice(0, MAX_ERROR_LENGTH),
        ...(replayId !== "" && { [REPLAY_HEADER]: replayId }),
      },
    };
    await this.#publisher.send(letters, [letter]);
  }

  async list(group: string, limit: number): Promise<readonly DeadLetter[]> {
    const letters = await this.#read(group, (ids) => ids.slice(0, limit));
    return letters.map((record) => ({
      deadLetterId: String(record.key),
      group,
      event: eventOf(record),
      attempts: Number(textOf(record.headers, ATTEMPTS_HEADER)),
      error: textOf(record.headers, ERROR_HEADER),
      time: record.time,
    }));
  }

  /**
   * The event goes to the group's redelivery first and the letter after that: should it break off between the two, or be
   * done twice at once, the event comes twice.
   */
  async redrive(group: string, deadLetterId: string): Promise<boolean> {
    const [letter] = await this.#read(group, (ids) => ids.filter((id) => id === deadLetterId));
    if (letter === undefined) return false;
    const { key, value, headers } = messageOf(eventOf(letter));
    const replayId = textOf(letter.headers, REPLAY_HEADER);
    const again = { key, value, headers: { ...headers, ...(replayId !== "" && { [REPLAY_HEADER]: replayId }) } };
    const redelivery = this.#names.redelivery(group);
    await this.#topics.ensure([redelivery]);
    await this.#publisher.send(redelivery, [again]);
    await this.#publisher.send(this.#names.deadLetters(group), [{ key: deadLetterId, value: null, headers: {} }]);
    return true;
  }

  /** The letters that `choose` takes of all ids, oldest first. Read twice, so that only those are held in memory. */
  async #read(group: string, choose: (ids: readonly string[]) => readonly string[]): Promise<readonly KafkaRecord[]> {
    const topic = this.#names.deadLetters(group);
    if (!(await this.#topics.has(topic))) return [];
    return await withCluster(this.#client, [topic], async (cluster) => {
      const [start] = await endsOf(cluster, [topic], "earliest");
      const [end] = await endsOf(cluster, [topic], "latest");
      const whole = { topic, partition: 0, from: start?.offset ?? 0, to: end?.offset ?? 0 };
      const offsets = new Map<string, number>();
      for await (const records of readLog(cluster, whole)) {
        for (const { key, value, offset } of records) {
          if (value === null) offsets.delete(String(key));
          else if (!offsets.has(String(key))) offsets.set(String(key), offset);
        }
      }
      const chosen = new Set(choose([...offsets.keys()]).map((id) => offsets.get(id)));
      const letters: KafkaRecord[] = [];
      if (chosen.size === 0) return letters;
      const from = Math.min(...[...chosen].map((offset) => offset ?? whole.from));
      for await (const records of readLog(cluster, { ...whole, from })) {
        for (const record of records) {
          // A copy: what is read at once would stay in memory with it.
          if (chosen.has(record.offset)) letters.push({ ...record, value: record.value && Buffer.from(record.value) });
        }
        if (letters.length === chosen.size) break;
      }
      return letters;
    });
  }
}

/** A UUID (RFC 9562, version 8) made of what it names. */
function idOf(name: string): string {
  const hex = createHash("sha256").update(name).digest("hex");
  const variant = (Number.parseInt(hex.slice(16, 17), 16) & 3) | 8;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant.toString(16)}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
