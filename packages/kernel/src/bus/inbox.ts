/** Handles facts from the bus, each once: the effect and the note that it happened are one transaction. */
import { childOf, parseTraceparent } from "@switchboard/contract/trace-context";
import { sql } from "drizzle-orm";
import type { Logger } from "pino";
import type { Database } from "../database/database.ts";
import type { Consumer } from "../service.ts";
import type { Bus, Subscription } from "./bus.ts";

export interface ConsumeOnceOptions {
  readonly database: Database;
  readonly bus: Bus;
  /** The service's name. */
  readonly group: string;
  readonly consumers: readonly Consumer[];
  readonly log: Logger;
}

/** Longer than any bus keeps events, so that none can come again after its row is gone. */
export const INBOX_LIFETIME_DAYS = 30;
const PURGE_BATCH = 1_000;

/**
 * Gives each fact to the consumers of its topic and type; all of them share one transaction, whose origin is the fact's.
 * A fact that no consumer is for is done at once.
 */
export function consumeOnce({ database, bus, group, consumers, log }: ConsumeOnceOptions): Promise<Subscription> {
  return bus.consume({
    group,
    topics: [...new Set(consumers.map(({ topic }) => topic))],
    async handle(events, { replayId }) {
      for (const event of events) {
        // The bus derives `source` from who published: another service's fact of the same type is not believed.
        const chosen = consumers.filter(({ topic, type }) => topic === event.source && type === event.type);
        if (chosen.length === 0) continue;
        const origin = { actor: event.actor, trace: childOf(parseTraceparent(event.traceparent)) };
        await database.transaction(origin, async (tx) => {
          const noted = await tx.queries.execute(sql`
            insert into inbox (event_id, group_name, replay_id) values (${event.id}, ${group}, ${replayId})
            on conflict do nothing returning 1`);
          if (noted.length === 0) {
            log.debug({ event: event.id, type: event.type }, "a fact came again and was handled before");
            return;
          }
          for (const consumer of chosen) await consumer.handle(event, tx);
        });
      }
    },
  });
}

/** Removes rows of facts that cannot come again; for a job. */
export async function purgeInbox(database: Database, signal?: AbortSignal): Promise<number> {
  let removed = 0;
  for (let count = PURGE_BATCH; count === PURGE_BATCH && !signal?.aborted; removed += count) {
    const rows = await database.queries.execute(sql`
      delete from inbox where (event_id, group_name, replay_id) in (
        select event_id, group_name, replay_id from inbox
        where handle_time < now() - make_interval(days => ${INBOX_LIFETIME_DAYS}) limit ${PURGE_BATCH})
      returning 1`);
    count = rows.length;
  }
  return removed;
}
