/** API keys. */
import type { Queries } from "@switchboard/kernel/database/database";
import { and, desc, eq, gt, isNull, lt, lte, or } from "drizzle-orm";
import { accounts, apiKeys } from "./tables.ts";

export type ApiKey = typeof apiKeys.$inferSelect;

export async function insertApiKey(queries: Queries, key: ApiKey): Promise<void> {
  await queries.insert(apiKeys).values(key);
}

export function countApiKeys(queries: Queries, userId: string): Promise<number> {
  return queries.$count(apiKeys, eq(apiKeys.userId, userId));
}

export function listApiKeys(queries: Queries, userId: string): Promise<ApiKey[]> {
  return queries
    .select()
    .from(apiKeys)
    .where(eq(apiKeys.userId, userId))
    .orderBy(desc(apiKeys.createTime), desc(apiKeys.apiKeyId));
}

/** The key of a secret, where neither it nor its account has ended. */
export async function findUsableApiKey(
  queries: Queries,
  secretHash: Uint8Array,
  now: Date,
): Promise<ApiKey | undefined> {
  const [row] = await queries
    .select({ key: apiKeys })
    .from(apiKeys)
    .innerJoin(accounts, eq(accounts.userId, apiKeys.userId))
    .where(
      and(
        eq(apiKeys.secretHash, secretHash),
        or(isNull(apiKeys.expireTime), gt(apiKeys.expireTime, now)),
        eq(accounts.disabled, false),
        isNull(accounts.deleteTime),
      ),
    );
  return row?.key;
}

/** Notes a use; at most one write a minute. */
export async function touchApiKey(queries: Queries, apiKeyId: string, minute: Date): Promise<void> {
  await queries
    .update(apiKeys)
    .set({ lastUseTime: minute })
    .where(and(eq(apiKeys.apiKeyId, apiKeyId), or(isNull(apiKeys.lastUseTime), lt(apiKeys.lastUseTime, minute))));
}

/** Removes one key of a user, or all; the ids of those that were there. */
export async function deleteApiKeys(queries: Queries, userId: string, apiKeyId?: string): Promise<readonly string[]> {
  const ended = await queries
    .delete(apiKeys)
    .where(and(eq(apiKeys.userId, userId), apiKeyId === undefined ? undefined : eq(apiKeys.apiKeyId, apiKeyId)))
    .returning({ apiKeyId: apiKeys.apiKeyId });
  return ended.map((key) => key.apiKeyId);
}

export async function purgeApiKeys(queries: Queries, now: Date): Promise<void> {
  await queries.delete(apiKeys).where(lte(apiKeys.expireTime, now));
}
