/** One transaction on one connection: begin, the change, its facts, commit. What it publishes is written last. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { newId } from "@switchboard/contract/ids";
import { formatTraceparent } from "@switchboard/contract/trace-context";
import { requirePublishable } from "../bus/publishable.ts";
import type { Connection } from "./connection.ts";
import type { Origin, Transaction } from "./database.ts";
import { toPublicFailure } from "./failure.ts";
import { writeOutbox } from "./outbox.ts";
import { makeQueries } from "./queries.ts";

export interface Committed<T> {
  readonly result: T;
  /** How many facts went to the outbox. */
  readonly published: number;
}

export async function runTransaction<T>(
  connection: Connection,
  source: string,
  origin: Origin,
  change: (tx: Transaction) => Promise<T>,
): Promise<Committed<T>> {
  const facts: EventEnvelope[] = [];
  let over = false;
  const tx: Transaction = {
    origin,
    // A statement that nobody waited for must not run in the connection's next transaction.
    queries: makeQueries((work) => (over ? Promise.reject(new Error("the transaction is over")) : work(connection))),
    async publish(schema, fact, key) {
      const data = toBinary(schema, create(schema, fact));
      requirePublishable({ key, data });
      const time = new Date().toISOString();
      const traceparent = origin.trace ? formatTraceparent(origin.trace) : "";
      facts.push({ id: newId(), source, type: schema.typeName, key, time, actor: origin.actor, traceparent, data });
    },
  };
  await connection.query("begin");
  try {
    const result = await change(tx);
    over = true;
    // Last, when the transaction holds all its locks: of two that change the same row, the outbox keeps the order.
    if (facts.length > 0) await writeOutbox(connection, facts);
    await commit(connection);
    return { result, published: facts.length };
  } catch (error) {
    over = true;
    if (!connection.lost.aborted) await connection.query("rollback").catch(() => {});
    throw toPublicFailure(error);
  }
}

/** PostgreSQL answers the commit of a transaction in which a statement failed with a rollback, and no error. */
async function commit(connection: Connection): Promise<void> {
  const { command } = await connection.query("commit");
  if (command !== "COMMIT") throw new Error("a statement of the transaction failed, and the failure was ignored");
}
