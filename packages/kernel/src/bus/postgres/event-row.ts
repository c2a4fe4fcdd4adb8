/** Envelopes as rows of the bus's functions, and back. */
import { AppError } from "@switchboard/contract/app-error";
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

export const MAX_DATA_BYTES = 900 * 1024;
/** Keys are part of an index. */
export const MAX_KEY_LENGTH = 512;

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

/** @throws AppError for an event that this service may not publish or that the bus cannot keep. */
export function requirePublishable(event: EventEnvelope, service: string): void {
  if (event.source !== service) {
    throw new AppError("PERMISSION_DENIED", `${service} publishes into its own topic only, not as "${event.source}"`);
  }
  if (event.key === "" || event.key.length > MAX_KEY_LENGTH || event.key.includes("\0")) {
    const description = `must have 1 to ${MAX_KEY_LENGTH} characters and no NUL`;
    throw new AppError("INVALID_FIELD", `an event's key ${description}`, {
      violations: [{ field: "key", description }],
    });
  }
  if (event.data.length > MAX_DATA_BYTES) {
    throw new AppError("REQUEST_TOO_LARGE", "an event's data has at most 900 KiB");
  }
}
