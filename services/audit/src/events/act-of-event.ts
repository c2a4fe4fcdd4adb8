/** What an event of the bus says that somebody did. */
import { fromBinary } from "@bufbuild/protobuf";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { isId } from "@switchboard/contract/ids";
import { parseTraceparent } from "@switchboard/contract/trace-context";
import { CallRecordedSchema } from "@switchboard/gen/switchboard/audit/v1/audit_events_pb";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { type Act, keptText, objectOfFact } from "../rules/entry.ts";

/**
 * A CallRecorded is the call that it reports; any other event is a fact, an act of its own. `source` is the topic, which
 * the bus derives from the publisher's credential; everything else is what that source says.
 * @throws Error where the event has no UUID, no time, or cannot be read: it is for the dead letters.
 */
export function actOfEvent(event: EventEnvelope): Act {
  const time = new Date(event.time);
  if (!isId(event.id)) throw new Error(`the event's id "${event.id}" is no UUID`);
  if (Number.isNaN(time.getTime())) throw new Error(`the event's time "${event.time}" is none`);
  const said = event.type === CallRecordedSchema.typeName ? reportedCall(event.data) : publishedFact(event);
  return {
    eventId: event.id.toLowerCase(),
    time,
    source: keptText(event.source),
    traceId: parseTraceparent(event.traceparent)?.traceId ?? "",
    actor: keptText(said.actor),
    action: keptText(said.action),
    object: keptText(said.object),
    outcome: said.outcome,
    reason: keptText(said.reason),
    count: said.count,
  };
}

type Said = Pick<Act, "actor" | "action" | "object" | "outcome" | "reason" | "count">;

function reportedCall(data: Uint8Array): Said {
  const { actor, method, object, outcome, reason, count } = fromBinary(CallRecordedSchema, data);
  return { actor, action: method, object, outcome, reason, count: Math.max(1, Number(count)) };
}

function publishedFact({ actor, type, source, key }: EventEnvelope): Said {
  return { actor, action: type, object: objectOfFact(source, key), outcome: Outcome.ALLOWED, reason: "", count: 1 };
}
