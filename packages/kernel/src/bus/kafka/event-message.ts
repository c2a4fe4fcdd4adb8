/**
 * An event as a Kafka message: CloudEvents 1.0, Kafka protocol binding, binary content mode. The data is the value
 * (section 3.2.2), its media type the header `content-type` (3.2.1), every attribute a header `ce_…` in UTF-8 (3.2.3);
 * the key is mapped from `subject` (3.1). The trace context is the header `traceparent` (W3C), as tracers of Kafka expect it.
 */
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { IHeaders } from "kafkajs";

/** Beside an event that comes again: the id of the replay that brings it. */
export const REPLAY_HEADER = "switchboard-replay-id";

/** What is sent. */
export interface EventMessage {
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** What is read. */
export interface KafkaRecord {
  readonly topic: string;
  readonly partition: number;
  /** An int64 in Kafka; 2^53 of them are enough for 28,000 years at 10,000 a second. */
  readonly offset: number;
  /** When Kafka took it, Unix milliseconds. */
  readonly time: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
}

export function messageOf(event: EventEnvelope): EventMessage {
  return {
    key: event.key,
    value: Buffer.from(event.data.buffer, event.data.byteOffset, event.data.byteLength),
    headers: {
      "content-type": "application/protobuf",
      ce_specversion: "1.0",
      ce_id: event.id,
      ce_source: event.source,
      ce_type: event.type,
      ce_subject: event.key,
      ce_time: event.time,
      ce_actor: event.actor,
      ...(event.traceparent !== "" && { traceparent: event.traceparent }),
    },
  };
}

/** The bytes are copied: those of kafkajs are part of the whole answer, and would keep it in memory. */
export function eventOf({ value, headers }: KafkaRecord): EventEnvelope {
  return {
    id: textOf(headers, "ce_id"),
    source: textOf(headers, "ce_source"),
    type: textOf(headers, "ce_type"),
    key: textOf(headers, "ce_subject"),
    time: textOf(headers, "ce_time"),
    actor: textOf(headers, "ce_actor"),
    traceparent: textOf(headers, "traceparent"),
    data: Uint8Array.from(value ?? []),
  };
}

/** Empty where there is no such header. */
export function textOf(headers: IHeaders, name: string): string {
  const value = headers[name];
  return String((Array.isArray(value) ? value[0] : value) ?? "");
}

/** About what a message takes in a batch; at least that much. */
export function sizeOf({ key, value, headers }: EventMessage): number {
  let size = 64 + 3 * key.length + value.length;
  for (const [name, text] of Object.entries(headers)) size += 8 + name.length + 3 * text.length;
  return size;
}
