/** What the calls that change one person have in common. */
import type { HandlerContext } from "@connectrpc/connect";
import { etagOf, requireEtag } from "@switchboard/contract/etag";
import type { Transaction } from "@switchboard/kernel/database/database";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { PublishFact } from "../events/user-facts.ts";
import type { Person } from "../rules/person.ts";
import { lockPerson, savePerson } from "../store/users.ts";

export interface PersonChange {
  readonly userId: string;
  /** The person's current etag, or empty: whatever it is. */
  readonly etag: string;
  /** Gives the person after it; the same object where nothing changes, which is then neither written nor published. */
  readonly rule: (before: Person) => Person;
  readonly publish: PublishFact;
}

/**
 * Changes one person, whom others cannot change meanwhile, and publishes the fact. Resolves with the person after it.
 * @throws AppError NOT_FOUND, ETAG_MISMATCH, and what the rule throws.
 */
export async function changePerson(tx: Transaction, context: HandlerContext, change: PersonChange): Promise<Person> {
  callOf(context).object = `user:${change.userId}`;
  const before = await lockPerson(tx.queries, change.userId);
  requireEtag(change.etag, etagOf(before.userId, before.revision));
  const after = change.rule(before);
  if (after === before) return before;
  await savePerson(tx.queries, after);
  await change.publish(tx, after, before);
  return after;
}
