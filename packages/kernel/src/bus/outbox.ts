/**
 * Brings the facts of a service's outbox to the bus, in their order, and deletes them there: one process at a time for
 * each outbox. A crash between the two brings a fact twice, under the same id; the inbox takes it once.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { Logger } from "pino";
import { tryAdvisoryLock } from "../database/advisory-lock.ts";
import type { Connection } from "../database/connection.ts";
import type { Database } from "../database/database.ts";
import { OUTBOX_CHANNEL } from "../database/outbox.ts";
import { withReconnecting } from "../database/reconnecting.ts";
import type { Bus } from "./bus.ts";
import { Wake } from "./wake.ts";

export interface OutboxRelayOptions {
  readonly database: Pick<Database, "connect">;
  /** The service's schema: the `source` of its events. */
  readonly schema: string;
  readonly bus: Pick<Bus, "publish">;
  readonly log: Logger;
}

const BATCH_SIZE = 256;
const BATCH_BYTES = 8 * 1024 * 1024;
const POLL_MS = 1_000;
/** How often a process that is not the relay looks whether it is its turn. */
const STANDBY_MS = 1_000;
const RETRY_MS = 500;

interface OutboxRow {
  readonly position: string;
  readonly event_id: string;
  readonly type: string;
  readonly key: string;
  readonly time: string;
  readonly actor: string;
  readonly traceparent: string;
  readonly data: Buffer;
}

/** Starts the relay. Disposing it sends what is there already, where the bus takes it, and stops. */
export function startOutboxRelay({ database, schema, bus, log }: OutboxRelayOptions): AsyncDisposable {
  const stop = new AbortController();
  const wake = new Wake();
  stop.signal.addEventListener("abort", () => wake.call(), { once: true });

  const relay = async (connection: Connection) => {
    let failing = false;
    while (!connection.lost.aborted) {
      try {
        const sent = await sendBatch(connection, schema, bus);
        failing = false;
        if (sent > 0) continue;
        if (stop.signal.aborted) return;
        await wake.wait(POLL_MS);
      } catch (error) {
        if (connection.lost.aborted || stop.signal.aborted) throw error;
        if (!failing) log.warn({ err: error }, "facts wait in the outbox: the bus does not take them");
        failing = true;
        await delay(RETRY_MS, undefined, { signal: stop.signal }).catch(() => {});
      }
    }
  };
  const running = withReconnecting({
    connect: () => database.connect(),
    async work(connection) {
      connection.lost.addEventListener("abort", () => wake.call(), { once: true });
      await connection.listen(OUTBOX_CHANNEL, (source) => source === schema && wake.call());
      while (!stop.signal.aborted) {
        await using lock = await tryAdvisoryLock(connection, `${schema}.outbox`);
        if (lock) return await relay(connection);
        await delay(STANDBY_MS, undefined, { signal: stop.signal }).catch(() => {});
      }
    },
    stop: stop.signal,
    log,
    name: "outbox",
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

async function sendBatch(connection: Connection, schema: string, bus: Pick<Bus, "publish">): Promise<number> {
  const rows = await connection.query<OutboxRow>(
    `select position, event_id, type, key, time, actor, traceparent, data
     from (
       select *, octet_length(data) as size, sum(octet_length(data)) over (order by position) as running
       from (select * from outbox order by position limit $1) as oldest
     ) as batch
     where running - size < $2 order by position`,
    [BATCH_SIZE, BATCH_BYTES],
  );
  if (rows.length === 0) return 0;
  await bus.publish(rows.map((row) => envelopeOf(row, schema)));
  await connection.query("delete from outbox where position = any($1)", [rows.map(({ position }) => position)]);
  return rows.length;
}

function envelopeOf({ position: _, event_id: id, ...row }: OutboxRow, source: string): EventEnvelope {
  return { id, source, ...row };
}
