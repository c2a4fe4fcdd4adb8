/** Signing keys, sealed. */
import type { Queries } from "@switchboard/kernel/database/database";
import { inArray, sql } from "drizzle-orm";
import { signingKeys } from "./tables.ts";

export type SealedKey = typeof signingKeys.$inferSelect;

/** Until the transaction ends, nobody else changes keys. */
export async function lockSigningKeys(queries: Queries): Promise<void> {
  await queries.execute(sql`select pg_advisory_xact_lock(hashtext('switchboard.auth'), hashtext('signing keys'))`);
}

export function listSigningKeys(queries: Queries): Promise<SealedKey[]> {
  return queries.select().from(signingKeys);
}

export async function insertSigningKey(queries: Queries, key: SealedKey): Promise<void> {
  await queries.insert(signingKeys).values(key);
}

export async function deleteSigningKeys(queries: Queries, kids: readonly string[]): Promise<void> {
  await queries.delete(signingKeys).where(inArray(signingKeys.kid, [...kids]));
}
