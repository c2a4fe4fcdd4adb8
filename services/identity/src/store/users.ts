/** Reads and writes people. */
import { AppError } from "@switchboard/contract/app-error";
import { emailKey } from "@switchboard/contract/email";
import type { Queries } from "@switchboard/kernel/database/database";
import { and, asc, eq, inArray, isNull, lt, type SQL, sql } from "drizzle-orm";
import type { Person } from "../rules/person.ts";
import { refuseDuplicates } from "./duplicate.ts";
import { users } from "./users-table.ts";

/** @throws AppError NOT_FOUND */
export async function getPerson(queries: Queries, userId: string): Promise<Person> {
  return found(await queries.select().from(users).where(eq(users.userId, userId)), userId);
}

/** The person, kept from others' changes until the transaction ends. @throws AppError NOT_FOUND */
export async function lockPerson(queries: Queries, userId: string): Promise<Person> {
  return found(await queries.select().from(users).where(eq(users.userId, userId)).for("update"), userId);
}

/** In any order; those who do not exist are left out. */
export function findPeople(queries: Queries, userIds: readonly string[]): Promise<Person[]> {
  return queries
    .select()
    .from(users)
    .where(inArray(users.userId, [...userIds]));
}

export interface PeoplePage {
  readonly conditions: readonly SQL[];
  readonly showDeleted: boolean;
  /** The last one of the page before; undefined: from the beginning. */
  readonly after: Pick<Person, "createTime" | "userId"> | undefined;
  readonly limit: number;
}

/** In the order they were made, then of their ids. */
export function listPeople(queries: Queries, page: PeoplePage): Promise<Person[]> {
  const { after } = page;
  return queries
    .select()
    .from(users)
    .where(
      and(
        ...page.conditions,
        page.showDeleted ? undefined : isNull(users.deleteTime),
        after &&
          sql`(${users.createTime}, ${users.userId}) > (${after.createTime.toISOString()}::timestamptz, ${after.userId}::uuid)`,
      ),
    )
    .orderBy(asc(users.createTime), asc(users.userId))
    .limit(page.limit);
}

/** @throws AppError ALREADY_EXISTS where the id or the e-mail is taken. */
export async function insertPerson(queries: Queries, person: Person): Promise<void> {
  await refuseDuplicates(queries.insert(users).values({ ...person, emailKey: emailKey(person.email) }));
}

/** Writes a person whom this transaction has locked. @throws AppError ALREADY_EXISTS where the e-mail is taken. */
export async function savePerson(queries: Queries, person: Person): Promise<void> {
  const row = { ...person, emailKey: emailKey(person.email) };
  await refuseDuplicates(queries.update(users).set(row).where(eq(users.userId, person.userId)));
}

/** Removes for good whoever was deleted before a time, at most `limit` people; says how many. */
export async function purgePeople(queries: Queries, deletedBefore: Date, limit: number): Promise<number> {
  const due = queries
    .select({ userId: users.userId })
    .from(users)
    .where(lt(users.deleteTime, deletedBefore))
    .orderBy(asc(users.deleteTime))
    .limit(limit)
    .for("update", { skipLocked: true });
  return (await queries.delete(users).where(inArray(users.userId, due)).returning({ userId: users.userId })).length;
}

function found(rows: readonly Person[], userId: string): Person {
  const [person] = rows;
  if (person === undefined) throw new AppError("NOT_FOUND", `there is no person with the id ${userId}`);
  return person;
}
