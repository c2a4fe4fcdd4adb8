/** Accounts: who may sign in, and with what. */
import { emailKey } from "@switchboard/contract/email";
import type { Queries } from "@switchboard/kernel/database/database";
import { and, asc, eq, gt, isNotNull, isNull, lt, ne, or } from "drizzle-orm";
import { accounts } from "./tables.ts";

export type Account = typeof accounts.$inferSelect;
export type NewAccount = Pick<
  Account,
  "userId" | "email" | "displayName" | "passwordHash" | "signUpRequestId" | "createTime"
>;

/** May sign in: the person is there, and neither disabled nor deleted. */
const open = and(eq(accounts.state, "active"), eq(accounts.disabled, false), isNull(accounts.deleteTime));

/** Undefined: the e-mail, the user_id or the request_id is taken. */
export async function insertPendingAccount(queries: Queries, account: NewAccount): Promise<Account | undefined> {
  const values = { ...account, emailKey: emailKey(account.email), state: "pending" } as const;
  const [inserted] = await queries.insert(accounts).values(values).onConflictDoNothing().returning();
  return inserted;
}

export async function findAccount(queries: Queries, userId: string): Promise<Account | undefined> {
  const [account] = await queries.select().from(accounts).where(eq(accounts.userId, userId));
  return account;
}

export async function findAccountByEmail(queries: Queries, email: string): Promise<Account | undefined> {
  const [account] = await queries
    .select()
    .from(accounts)
    .where(eq(accounts.emailKey, emailKey(email)));
  return account;
}

/** The account that a sign-up has made (by its request_id; "": none came) or meets (by its e-mail). */
export async function findAccountOfSignUp(
  queries: Queries,
  email: string,
  requestId: string,
): Promise<Account | undefined> {
  const sameRequest = requestId === "" ? undefined : eq(accounts.signUpRequestId, requestId);
  const found = await queries
    .select()
    .from(accounts)
    .where(or(eq(accounts.emailKey, emailKey(email)), sameRequest));
  return found.find((account) => account.signUpRequestId === requestId) ?? found[0];
}

/** The account, held against changes until the transaction ends; undefined where it may not sign in. */
export async function lockOpenAccount(queries: Queries, userId: string): Promise<Account | undefined> {
  const [account] = await queries
    .select()
    .from(accounts)
    .where(and(eq(accounts.userId, userId), open))
    .for("no key update");
  return account;
}

/** Whether this call is the one that completed it. */
export async function completeAccount(queries: Queries, userId: string): Promise<boolean> {
  const completed = await queries
    .update(accounts)
    .set({ state: "active" })
    .where(and(eq(accounts.userId, userId), eq(accounts.state, "pending")))
    .returning({ userId: accounts.userId });
  return completed.length > 0;
}

export async function removePendingAccount(queries: Queries, userId: string): Promise<void> {
  await queries.delete(accounts).where(and(eq(accounts.userId, userId), eq(accounts.state, "pending")));
}

/** Sign-ups that were begun before a time and not completed, by user_id (which is the order they began in); after one. */
export function listPendingAccounts(
  queries: Queries,
  before: Date,
  after: string | undefined,
  limit: number,
): Promise<Account[]> {
  const later = after === undefined ? undefined : gt(accounts.userId, after);
  return queries
    .select()
    .from(accounts)
    .where(and(eq(accounts.state, "pending"), lt(accounts.createTime, before), later))
    .orderBy(asc(accounts.userId))
    .limit(limit);
}

/** Whether it changed: false where the hash is another one by now. */
export async function replacePasswordHash(
  queries: Queries,
  { userId, passwordHash }: Pick<Account, "userId" | "passwordHash">,
  newHash: string,
): Promise<boolean> {
  const changed = await queries
    .update(accounts)
    .set({ passwordHash: newHash })
    .where(and(eq(accounts.userId, userId), eq(accounts.passwordHash, passwordHash), open))
    .returning({ userId: accounts.userId });
  return changed.length > 0;
}

/** Takes over what Identity says of a person. People without an account are passed over. */
export async function updateAccount(
  queries: Queries,
  userId: string,
  change: Partial<Pick<Account, "disabled" | "deleteTime">>,
): Promise<void> {
  await queries.update(accounts).set(change).where(eq(accounts.userId, userId));
}

/** Lets an account's e-mail follow its person's. An account whose person is gone makes room. */
export async function updateEmail(queries: Queries, userId: string, email: string): Promise<void> {
  const key = emailKey(email);
  await queries
    .delete(accounts)
    .where(and(eq(accounts.emailKey, key), ne(accounts.userId, userId), isNotNull(accounts.deleteTime)));
  await queries.update(accounts).set({ email, emailKey: key }).where(eq(accounts.userId, userId));
}

export async function purgeDeletedAccounts(queries: Queries, before: Date): Promise<void> {
  await queries.delete(accounts).where(lt(accounts.deleteTime, before));
}
