/** Revocations: which credentials' access tokens are refused before they expire. */
import type { Queries } from "@switchboard/kernel/database/database";
import { and, asc, gt, lte, sql } from "drizzle-orm";
import { revocations } from "./tables.ts";

export type Revocation = typeof revocations.$inferSelect;

/**
 * Adds revocations. The lock is held until the transaction ends, so that numbers become visible in their order and a
 * reader who has seen one never misses a smaller one. Nothing that others may hold is locked after it.
 */
export async function insertRevocations(
  queries: Queries,
  credentialIds: readonly string[],
  expireTime: Date,
): Promise<readonly Revocation[]> {
  if (credentialIds.length === 0) return [];
  await queries.execute(sql`select pg_advisory_xact_lock(hashtext('switchboard.auth'), hashtext('revocation'))`);
  return queries
    .insert(revocations)
    .values(credentialIds.map((credentialId) => ({ credentialId, expireTime })))
    .returning();
}

export function listRevocations(queries: Queries, afterSequence: bigint, now: Date): Promise<Revocation[]> {
  return queries
    .select()
    .from(revocations)
    .where(and(gt(revocations.sequence, afterSequence), gt(revocations.expireTime, now)))
    .orderBy(asc(revocations.sequence));
}

export async function purgeRevocations(queries: Queries, now: Date): Promise<void> {
  await queries.delete(revocations).where(lte(revocations.expireTime, now));
}
