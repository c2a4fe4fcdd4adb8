/** What is remembered of password tries: counters of wrong ones, and the networks that right ones came from. */
import { emailKey, isEmail } from "@switchboard/contract/email";
import type { Queries } from "@switchboard/kernel/database/database";
import { and, eq, gt, inArray, lte, sql } from "drizzle-orm";
import { SIGN_IN_WINDOW_MS, shareOf, type Tally } from "../rules/sign-in-limits.ts";
import { accounts, failedTries, knownNetworks } from "./tables.ts";

/** When each of the counters is empty, in Unix milliseconds; those that are empty are left out. */
export async function readCounters(
  queries: Queries,
  tallies: readonly Tally[],
  now: Date,
): Promise<ReadonlyMap<string, number>> {
  const counters = tallies.map(({ counter }) => counter);
  const rows = await queries
    .select()
    .from(failedTries)
    .where(and(inArray(failedTries.counter, counters), gt(failedTries.emptyTime, now)));
  return new Map(rows.map(({ counter, emptyTime }) => [counter, emptyTime.getTime()]));
}

/** Counts one more in each. A counter never takes longer than a window to be empty. */
export async function countFailure(queries: Queries, tallies: readonly Tally[], now: Date): Promise<void> {
  const at = sql`${now.toISOString()}::timestamptz`;
  const full = sql`${new Date(now.getTime() + SIGN_IN_WINDOW_MS).toISOString()}::timestamptz`;
  const rows = tallies.map(({ counter, limit }) => ({
    counter,
    emptyTime: new Date(now.getTime() + shareOf(limit)),
  }));
  // In one order, so that two that count the same do not wait for one another.
  rows.sort((one, other) => (one.counter < other.counter ? -1 : 1));
  await queries
    .insert(failedTries)
    .values(rows)
    .onConflictDoUpdate({
      target: failedTries.counter,
      set: {
        emptyTime: sql`least(greatest(${failedTries.emptyTime}, ${at}) + (excluded.empty_time - ${at}), ${full})`,
      },
    });
}

export async function forgetFailures(queries: Queries, { counter }: Tally): Promise<void> {
  await queries.delete(failedTries).where(eq(failedTries.counter, counter));
}

/** Whether an e-mail's account opened a session from a network since a time. */
export async function isKnownNetwork(queries: Queries, email: string, network: string, since: Date): Promise<boolean> {
  // What is no e-mail may hold characters that PostgreSQL refuses; it is asked for another, so that it takes as long.
  const key = isEmail(email) ? emailKey(email) : "";
  const found = await queries
    .select({ userId: accounts.userId })
    .from(accounts)
    .innerJoin(knownNetworks, eq(knownNetworks.userId, accounts.userId))
    .where(and(eq(accounts.emailKey, key), eq(knownNetworks.network, network), gt(knownNetworks.signInTime, since)));
  return found.length > 0;
}

export async function rememberNetwork(queries: Queries, userId: string, network: string, now: Date): Promise<void> {
  await queries
    .insert(knownNetworks)
    .values({ userId, network, signInTime: now })
    .onConflictDoUpdate({ target: [knownNetworks.userId, knownNetworks.network], set: { signInTime: now } });
}

export async function purgePasswordTries(queries: Queries, now: Date, knownSince: Date): Promise<void> {
  await queries.delete(failedTries).where(lte(failedTries.emptyTime, now));
  await queries.delete(knownNetworks).where(lte(knownNetworks.signInTime, knownSince));
}
