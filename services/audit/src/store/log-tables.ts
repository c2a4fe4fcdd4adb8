/** The log's tables; made by migrations/0001-log.sql. */
import { bigint, customType, pgSchema, smallint, text, timestamp, uuid } from "drizzle-orm/pg-core";

const bytea = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => "bytea" });

const audit = pgSchema("audit");

export const entries = audit.table("entries", {
  sequence: bigint("sequence", { mode: "number" }).primaryKey(),
  eventId: uuid("event_id").notNull(),
  source: text("source").notNull(),
  time: timestamp("time", { withTimezone: true, precision: 3, mode: "date" }).notNull(),
  actor: text("actor").notNull(),
  action: text("action").notNull(),
  object: text("object").notNull(),
  outcome: smallint("outcome").notNull(),
  reason: text("reason").notNull(),
  traceId: text("trace_id").notNull(),
  bytes: bytea("bytes").notNull(),
  leafHash: bytea("leaf_hash").notNull(),
});

export const heads = audit.table("heads", {
  size: bigint("size", { mode: "number" }).primaryKey(),
  head: bytea("head").notNull(),
  edge: bytea("edge").notNull(),
});
