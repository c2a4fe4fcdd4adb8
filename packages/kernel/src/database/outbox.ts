/**
 * The writing side of the outbox: facts of a transaction become rows of its schema. `bus/outbox.ts` brings them to the bus.
 */
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { Connection } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";

/** Heard by all, so it carries nothing but the schema's name. */
export const OUTBOX_CHANNEL = "outbox";

export async function writeOutbox(connection: Connection, facts: readonly EventEnvelope[]): Promise<void> {
  await connection.query(
    `insert into outbox (event_id, type, key, time, actor, traceparent, data)
     select event_id, type, key, time, actor, traceparent, decode(data, 'base64')
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
       with ordinality as fact (event_id, type, key, time, actor, traceparent, data, position)
     order by position`,
    [
      facts.map((fact) => fact.id),
      facts.map((fact) => fact.type),
      facts.map((fact) => fact.key),
      facts.map((fact) => fact.time),
      facts.map((fact) => fact.actor),
      facts.map((fact) => fact.traceparent),
      facts.map((fact) => Buffer.from(fact.data).toString("base64")),
    ],
  );
}

/**
 * Wakes the relay. After the commit and not inside of it: a transaction with a NOTIFY holds a lock of the whole server
 * while it waits for the disk. A hint that a crash takes is made good by the relay's slow poll.
 */
export class Outbox {
  readonly #pool: ConnectionPool;
  #state: "quiet" | "announcing" | "again" = "quiet";

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  announce(): void {
    if (this.#state === "quiet") void this.#announce();
    else this.#state = "again";
  }

  async #announce(): Promise<void> {
    do {
      this.#state = "announcing";
      await this.#pool
        .use((connection) => connection.query("select pg_notify($1, current_schema())", [OUTBOX_CHANNEL]))
        .catch(() => {});
    } while ((this.#state as string) === "again");
    this.#state = "quiet";
  }
}
