/** Open sessions and their refresh tokens. */
import type { Queries } from "@switchboard/kernel/database/database";
import { and, desc, eq, gt, inArray, isNull, lt, lte, ne } from "drizzle-orm";
import { refreshTokens, sessions } from "./tables.ts";

export type Session = typeof sessions.$inferSelect;

const LIST_MAX = 1000;

export async function insertSession(queries: Queries, session: Session, tokenHash: Uint8Array): Promise<void> {
  await queries.insert(sessions).values(session);
  await insertRefreshToken(queries, session.sessionId, tokenHash);
}

export function listSessions(queries: Queries, userId: string, now: Date): Promise<Session[]> {
  return queries
    .select()
    .from(sessions)
    .where(and(eq(sessions.userId, userId), gt(sessions.expireTime, now)))
    .orderBy(desc(sessions.createTime), desc(sessions.sessionId))
    .limit(LIST_MAX);
}

/**
 * The session of a refresh token, used or not, held until the transaction ends: of parallel refreshes of one session,
 * one goes on at a time.
 */
export async function lockSessionOf(queries: Queries, tokenHash: Uint8Array): Promise<Session | undefined> {
  const ofToken = queries
    .select({ sessionId: refreshTokens.sessionId })
    .from(refreshTokens)
    .where(eq(refreshTokens.tokenHash, tokenHash));
  const [session] = await queries
    .select()
    .from(sessions)
    .where(inArray(sessions.sessionId, ofToken))
    .for("no key update");
  return session;
}

/** Uses a refresh token up. False: it was used before. */
export async function consumeRefreshToken(queries: Queries, tokenHash: Uint8Array, now: Date): Promise<boolean> {
  const used = await queries
    .update(refreshTokens)
    .set({ useTime: now })
    .where(and(eq(refreshTokens.tokenHash, tokenHash), isNull(refreshTokens.useTime)))
    .returning({ sessionId: refreshTokens.sessionId });
  return used.length > 0;
}

/** When a refresh token was used; undefined: not yet. */
export async function useTimeOf(queries: Queries, tokenHash: Uint8Array): Promise<Date | undefined> {
  const [token] = await queries
    .select({ useTime: refreshTokens.useTime })
    .from(refreshTokens)
    .where(eq(refreshTokens.tokenHash, tokenHash));
  return token?.useTime ?? undefined;
}

export async function insertRefreshToken(queries: Queries, sessionId: string, tokenHash: Uint8Array): Promise<void> {
  await queries.insert(refreshTokens).values({ tokenHash, sessionId });
}

export async function extendSession(
  queries: Queries,
  sessionId: string,
  { lastUseTime, expireTime }: Pick<Session, "lastUseTime" | "expireTime">,
): Promise<void> {
  await queries.update(sessions).set({ lastUseTime, expireTime }).where(eq(sessions.sessionId, sessionId));
}

export interface SessionsToEnd {
  readonly userId: string;
  /** Only this one. */
  readonly sessionId?: string;
  /** All but this one. */
  readonly except?: string;
}

/** Removes sessions, with their refresh tokens; the ids of those that were there. */
export async function deleteSessions(
  queries: Queries,
  { userId, sessionId, except }: SessionsToEnd,
): Promise<readonly string[]> {
  const ended = await queries
    .delete(sessions)
    .where(
      and(
        eq(sessions.userId, userId),
        sessionId === undefined ? undefined : eq(sessions.sessionId, sessionId),
        except === undefined ? undefined : ne(sessions.sessionId, except),
      ),
    )
    .returning({ sessionId: sessions.sessionId });
  return ended.map((session) => session.sessionId);
}

/** Forgets expired sessions, and refresh tokens used so long ago that nobody who kept one could still be in. */
export async function purgeSessions(queries: Queries, now: Date, usedBefore: Date): Promise<void> {
  await queries.delete(sessions).where(lte(sessions.expireTime, now));
  await queries.delete(refreshTokens).where(lt(refreshTokens.useTime, usedBefore));
}
