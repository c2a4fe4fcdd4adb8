/** Writes to the log: the only way in which it grows. */
import type { Queries, Transaction } from "@switchboard/kernel/database/database";
import { desc, inArray, sql } from "drizzle-orm";
import type { Act, Entry } from "../rules/entry.ts";
import { leafHash, MerkleTree } from "../rules/merkle.ts";
import { entryBytes } from "./entry-bytes.ts";
import { entries, heads } from "./log-tables.ts";

/** The NOTIFY channel that says: there are new entries. */
export const APPENDED_CHANNEL = "audit_appended";

/** Any number, the same in every instance. */
const APPEND_LOCK = 6_962;

/**
 * Appends acts in their order, one transaction of all instances at a time, and keeps the head that they lead to. Acts that
 * are there already, or twice among these, are left out: it can be repeated. Resolves with how many were new.
 */
export async function appendActs({ queries }: Transaction, acts: readonly Act[]): Promise<number> {
  // Held until the commit is visible: whoever comes next sees all of this, and sequences have no gaps.
  await queries.execute(sql`select pg_advisory_xact_lock(${APPEND_LOCK})`);
  const known = await queries
    .select({ eventId: entries.eventId, source: entries.source })
    .from(entries)
    .where(
      inArray(
        entries.eventId,
        acts.map((act) => act.eventId),
      ),
    );
  const seen = new Set(known.map(identityOf));
  const fresh = acts.filter((act) => seen.size < seen.add(identityOf(act)).size);
  if (fresh.length === 0) return 0;

  const [last] = await queries.select().from(heads).orderBy(desc(heads.size)).limit(1);
  const tree = new MerkleTree(last?.size, last?.edge);
  const rows = fresh.map((act) => {
    const entry: Entry = { ...act, sequence: tree.size + 1 };
    const bytes = entryBytes(entry);
    const hash = leafHash(bytes);
    tree.append(hash);
    return { ...entry, bytes, leafHash: hash };
  });
  await queries.insert(entries).values(rows);
  await queries.insert(heads).values({ size: tree.size, head: tree.root(), edge: tree.edge() });
  return fresh.length;
}

/**
 * Says that there are new entries. After the commit: a transaction that notifies holds up every other one that does. A
 * hint that is lost is made good by looking again.
 */
export async function announceAppended(queries: Queries): Promise<void> {
  await queries.execute(sql`select pg_notify(${APPENDED_CHANNEL}, '')`).catch(() => {});
}

function identityOf({ eventId, source }: Pick<Act, "eventId" | "source">): string {
  return `${eventId} ${source}`;
}
