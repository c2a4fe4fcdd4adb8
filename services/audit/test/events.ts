/** Events as services publish them. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { newId } from "@switchboard/contract/ids";
import { childOf, formatTraceparent } from "@switchboard/contract/trace-context";
import { CallRecordedSchema } from "@switchboard/gen/switchboard/audit/v1/audit_events_pb";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";

export function fact(name: string, key: string, change: Partial<EventEnvelope> = {}): EventEnvelope {
  return {
    id: newId(),
    // The bus puts the publisher's own name there.
    source: "",
    type: `switchboard.identity.v1.${name}`,
    key,
    time: new Date().toISOString(),
    actor: "user:somebody",
    traceparent: formatTraceparent(childOf(undefined)),
    data: new Uint8Array(),
    ...change,
  };
}

export function refusal(method: string, call: MessageInitShape<typeof CallRecordedSchema> = {}): EventEnvelope {
  const record = create(CallRecordedSchema, {
    actor: "anonymous",
    method,
    outcome: Outcome.DENIED,
    reason: "PERMISSION_DENIED",
    ...call,
  });
  return fact("", record.actor, { type: CallRecordedSchema.typeName, data: toBinary(CallRecordedSchema, record) });
}

/** One that no version of Audit can read. */
export function unreadable(): EventEnvelope {
  return fact("", newId(), { type: CallRecordedSchema.typeName, data: Uint8Array.of(0x0a, 0xff) });
}
