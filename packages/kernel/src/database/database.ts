/**
 * The service's own schema in PostgreSQL: a small pool, drizzle on top, transactions that carry the events they publish.
 * `open-database.ts` makes one.
 */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { TraceContext } from "@switchboard/contract/trace-context";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import type { Connection } from "./connection.ts";

/** drizzle's query builder; inside a transaction it belongs to that transaction. */
export type Queries = Pick<
  PostgresJsDatabase,
  "select" | "selectDistinct" | "insert" | "update" | "delete" | "execute" | "with" | "$count"
>;

/** Whose act a transaction is; goes into the envelopes of the events it publishes. */
export interface Origin {
  /** "user:…", "service:auth", "anonymous". */
  readonly actor: string;
  readonly trace: TraceContext | undefined;
}

export interface Transaction {
  readonly queries: Queries;
  readonly origin: Origin;
  /** Writes a fact to the outbox: it is published if, and only if, this transaction commits. */
  publish<Desc extends DescMessage>(schema: Desc, fact: MessageInitShape<Desc>, key: string): Promise<void>;
}

export interface Database extends AsyncDisposable {
  /** Reads outside of a transaction, each statement on its own. */
  readonly queries: Queries;
  /** postgres.js itself, for LISTEN and COPY. Not for transactions: it loses them when a connection breaks. */
  readonly sql: Sql;
  /** A connection of its own beside the pool, for locks of a session. The caller ends it. */
  connect(): Connection;
  /**
   * Runs `change` in one transaction (READ COMMITTED) and commits. Serialization failures and deadlocks are repeated, 3
   * times at most: `change` must have no effect outside of the transaction.
   * @throws AppError DATABASE_UNAVAILABLE where PostgreSQL is away.
   */
  transaction<T>(origin: Origin, change: (tx: Transaction) => Promise<T>): Promise<T>;
  problem(): string | undefined;
}
