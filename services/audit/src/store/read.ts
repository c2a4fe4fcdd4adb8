/** Reads the log: pages, single entries, what was appended, and all of it for checking. */
import { AppError } from "@switchboard/contract/app-error";
import type { Queries } from "@switchboard/kernel/database/database";
import { and, asc, desc, eq, gt, lt, lte, max, type SQL, sql } from "drizzle-orm";
import type { StoredEntry, StoredHead } from "../rules/check-log.ts";
import { readEntry } from "./entry-bytes.ts";
import { entries, heads } from "./log-tables.ts";

/** What an entry is shown from. */
const shown = { sequence: entries.sequence, bytes: entries.bytes, leafHash: entries.leafHash };
export type ShownEntry = Pick<typeof entries.$inferSelect, keyof typeof shown>;

/** How many entries there are. */
export async function logSize(queries: Queries): Promise<number> {
  const [row] = await queries.select({ size: max(entries.sequence) }).from(entries);
  return row?.size ?? 0;
}

/** Where entries and heads end, as of one moment: in a whole log both are the same. */
export async function logEnds(queries: Queries): Promise<{ readonly entries: number; readonly heads: number }> {
  const lastHead = queries.select({ size: max(heads.size) }).from(heads);
  const [row] = await queries
    .select({ entries: max(entries.sequence), heads: sql<string | null>`(${lastHead})` })
    .from(entries);
  return { entries: row?.entries ?? 0, heads: Number(row?.heads ?? 0) };
}

/** The newest entries before `before` for which all conditions hold, newest first. */
export function listBackwards(
  queries: Queries,
  conditions: readonly SQL[],
  before: number | undefined,
  limit: number,
): Promise<ShownEntry[]> {
  return queries
    .select(shown)
    .from(entries)
    .where(and(...conditions, before === undefined ? undefined : lt(entries.sequence, before)))
    .orderBy(desc(entries.sequence))
    .limit(limit);
}

/** The oldest entries after `after`, up to `upTo`, for which all conditions hold, oldest first. */
export function listForwards(
  queries: Queries,
  conditions: readonly SQL[],
  { after, upTo, limit }: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<ShownEntry[]> {
  return queries
    .select(shown)
    .from(entries)
    .where(and(...conditions, gt(entries.sequence, after), lte(entries.sequence, upTo)))
    .orderBy(asc(entries.sequence))
    .limit(limit);
}

/** @throws AppError NOT_FOUND */
export async function getEntry(queries: Queries, eventId: string): Promise<ShownEntry> {
  const rows = queries.select(shown).from(entries).where(eq(entries.eventId, eventId));
  const [entry] = await rows.orderBy(asc(entries.sequence)).limit(1);
  if (entry === undefined) throw new AppError("NOT_FOUND", `there is no event with the id ${eventId}`);
  return entry;
}

const BATCH = 500;

/** Every entry up to a sequence, for checking, a batch at a time. @throws the signal's reason */
export async function* storedEntries(queries: Queries, upTo: number, signal: AbortSignal): AsyncGenerator<StoredEntry> {
  let last = Number.MIN_SAFE_INTEGER;
  for (;;) {
    signal.throwIfAborted();
    const rows = await queries
      .select()
      .from(entries)
      .where(and(gt(entries.sequence, last), lte(entries.sequence, upTo)))
      .orderBy(asc(entries.sequence))
      .limit(BATCH);
    for (const row of rows) yield storedEntry(row);
    last = rows.at(-1)?.sequence ?? last;
    if (rows.length < BATCH) return;
  }
}

/** Every head up to a size, a batch at a time. */
export async function* storedHeads(queries: Queries, upTo: number): AsyncGenerator<StoredHead> {
  let last = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const rows = await queries
      .select({ size: heads.size, head: heads.head })
      .from(heads)
      .where(and(gt(heads.size, last), lte(heads.size, upTo)))
      .orderBy(asc(heads.size))
      .limit(BATCH);
    yield* rows;
    last = rows.at(-1)?.size ?? last;
    if (rows.length < BATCH) return;
  }
}

function storedEntry(row: typeof entries.$inferSelect): StoredEntry {
  const written = readEntry(row.bytes);
  return {
    sequence: row.sequence,
    bytes: row.bytes,
    leafHash: row.leafHash,
    writtenAs: written?.sequence,
    columnsAgree:
      written !== undefined &&
      written.time.getTime() === row.time.getTime() &&
      (["eventId", "source", "actor", "action", "object", "outcome", "reason", "traceId"] as const).every(
        (column) => written[column] === row[column],
      ),
  };
}
