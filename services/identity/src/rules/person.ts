/** A person, and what can become of one. Pure: a rule gives the person after it, the same object where nothing changes. */
import { AppError } from "@switchboard/contract/app-error";

/** How long a deleted person can be brought back, in milliseconds: 30 days. */
export const UNDELETE_WINDOW_MS = 30 * 24 * 60 * 60_000;

export interface Person {
  readonly userId: string;
  /** As it was written. */
  readonly email: string;
  readonly displayName: string;
  readonly state: "ACTIVE" | "DISABLED";
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly deleteTime: Date | null;
  /** Grows by one with every change. */
  readonly revision: number;
}

/** What callers may change by UpdateUser, in proto names. */
export const CHANGEABLE = ["display_name", "email"] as const;
export type ChangeableField = (typeof CHANGEABLE)[number];

export type Details = Pick<Person, "email" | "displayName">;

export function newPerson(userId: string, details: Details, now: Date): Person {
  return { ...details, userId, state: "ACTIVE", createTime: now, updateTime: now, deleteTime: null, revision: 1 };
}

/** The person with the named fields taken from `details`. @throws AppError WRONG_STATE for a deleted one. */
export function update(person: Person, fields: readonly ChangeableField[], details: Details, now: Date): Person {
  requirePresent(person);
  const email = fields.includes("email") ? details.email : person.email;
  const displayName = fields.includes("display_name") ? details.displayName : person.displayName;
  if (email === person.email && displayName === person.displayName) return person;
  return changed(person, { email, displayName }, now);
}

/** Which fields differ, in proto names. */
export function changedFields(before: Person, after: Person): readonly ChangeableField[] {
  return CHANGEABLE.filter((field) =>
    field === "email" ? before.email !== after.email : before.displayName !== after.displayName,
  );
}

/** @throws AppError WRONG_STATE for a deleted person. */
export function disable(person: Person, now: Date): Person {
  requirePresent(person);
  return person.state === "DISABLED" ? person : changed(person, { state: "DISABLED" }, now);
}

/** @throws AppError WRONG_STATE for a deleted person. */
export function enable(person: Person, now: Date): Person {
  requirePresent(person);
  return person.state === "ACTIVE" ? person : changed(person, { state: "ACTIVE" }, now);
}

/** @throws AppError NOT_FOUND for one who is deleted already (AIP-135). */
export function remove(person: Person, now: Date): Person {
  if (person.deleteTime !== null) throw new AppError("NOT_FOUND", "this person is deleted already");
  return changed(person, { deleteTime: now }, now);
}

/** @throws AppError ALREADY_EXISTS for one who is not deleted (AIP-164), NOT_FOUND where the window is over. */
export function restore(person: Person, now: Date): Person {
  if (person.deleteTime === null) throw new AppError("ALREADY_EXISTS", "this person is not deleted");
  if (now.getTime() - person.deleteTime.getTime() > UNDELETE_WINDOW_MS) {
    throw new AppError("NOT_FOUND", "this person was deleted more than 30 days ago and cannot be brought back");
  }
  return changed(person, { deleteTime: null }, now);
}

function changed(person: Person, change: Partial<Person>, now: Date): Person {
  return { ...person, ...change, updateTime: now, revision: person.revision + 1 };
}

function requirePresent(person: Person): void {
  if (person.deleteTime === null) return;
  throw new AppError("WRONG_STATE", "this person is deleted; bring them back with UndeleteUser first");
}
