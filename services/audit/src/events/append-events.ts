/** Takes what every service and the gateway publish, and appends it to the log. */
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { Bus, Subscription } from "@switchboard/kernel/bus/bus";
import type { Database } from "@switchboard/kernel/database/database";
import { announceAppended, appendActs } from "../store/append.ts";
import { actOfEvent } from "./act-of-event.ts";

/** As many as wait, up to this: one lock, one transaction and one head for all of them. */
const BATCH_SIZE = 256;

export function appendEvents(bus: Bus, database: Database): Promise<Subscription> {
  return bus.consume({
    group: "audit",
    topics: "*",
    batchSize: BATCH_SIZE,
    handle: (events) => append(database, events),
  });
}

/** It needs no inbox: an event that is in the log already adds nothing, be it delivered again or replayed. */
async function append(database: Database, events: readonly EventEnvelope[]): Promise<void> {
  const acts = events.map(actOfEvent);
  const origin = { actor: "service:audit", trace: undefined };
  if ((await database.transaction(origin, (tx) => appendActs(tx, acts))) > 0) await announceAppended(database.queries);
}
