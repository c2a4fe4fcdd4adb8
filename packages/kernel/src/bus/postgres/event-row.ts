/** Envelopes as rows of the bus's functions, and back. */
import type { EventEnvelope } from "@switchboard/contract/event-envelope";

export interface EventRow {
  readonly topic: string;
  readonly event_id: string;
  readonly type: string;
  readonly key: string;
  readonly time: string;
  readonly actor: string;
  readonly traceparent: string;
  readonly data: Buffer;
}

/** The source is the topic, which the server derived from who published: what the publisher wrote there does not count. */
export function envelopeOf(row: EventRow): EventEnvelope {
  return {
    id: row.event_id,
    source: row.topic,
    type: row.type,
    key: row.key,
    time: row.time,
    actor: row.actor,
    traceparent: row.traceparent,
    data: row.data,
  };
}

/** The arguments of `bus.publish`. */
export function columnsOf(events: readonly EventEnvelope[]): string[][] {
  return [
    events.map((event) => event.id),
    events.map((event) => event.type),
    events.map((event) => event.key),
    events.map((event) => event.time),
    events.map((event) => event.actor),
    events.map((event) => event.traceparent),
    events.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")),
  ];
}
