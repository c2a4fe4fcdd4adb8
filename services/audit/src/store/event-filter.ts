/** A list's filter as SQL. */
import { type FilterFields, parseFilter } from "@switchboard/contract/filter";
import { OutcomeSchema } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { conditionsOf } from "@switchboard/kernel/database/filter-conditions";
import type { SQL } from "drizzle-orm";
import { entries } from "./log-tables.ts";

const fields = {
  actor: { type: "string" },
  action: { type: "string" },
  object: { type: "string" },
  outcome: { type: "enum", values: OutcomeSchema },
  reason: { type: "string" },
  source: { type: "string" },
  trace_id: { type: "string" },
  time: { type: "timestamp" },
  sequence: { type: "int" },
} as const satisfies FilterFields;

/** @throws AppError INVALID_FILTER */
export function eventConditions(filter: string): SQL[] {
  return conditionsOf(parseFilter(filter, fields), {
    actor: { column: entries.actor },
    action: { column: entries.action },
    object: { column: entries.object },
    outcome: { column: entries.outcome },
    reason: { column: entries.reason },
    source: { column: entries.source },
    trace_id: { column: entries.traceId },
    time: { column: entries.time },
    sequence: { column: entries.sequence },
  });
}
