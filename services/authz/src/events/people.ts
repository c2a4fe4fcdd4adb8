/** What happens to people happens to what they may do: who is deleted loses all, who is disabled loses roles. */
import type { UserDeleted, UserDisabled } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import { publishChange } from "../rpc/change-relationships.ts";
import { type Model, rolesOf } from "../rules/model.ts";
import { deleteAllOf, deleteRelationships, findRelationships, nextRevision } from "../store/relationships.ts";

const MAX_ROLES = 10_000;

export async function personDeleted({ userId }: UserDeleted, tx: Transaction): Promise<void> {
  const revision = await nextRevision(tx.queries);
  await publishChange(tx, revision, [], await deleteAllOf(tx.queries, { type: "user", id: userId }));
}

export function personDisabled(model: () => Model) {
  return async ({ userId }: UserDisabled, tx: Transaction): Promise<void> => {
    const revision = await nextRevision(tx.queries);
    const own = { subjectType: "user", subjectId: userId, subjectRelation: "" };
    const roles = new Set(rolesOf(model()).map(({ type, role }) => `${type} ${role}`));
    const held = await findRelationships(tx.queries, own, { limit: MAX_ROLES });
    const grants = held.filter(({ object, relation }) => roles.has(`${object.type} ${relation}`));
    await publishChange(tx, revision, [], await deleteRelationships(tx.queries, grants));
  };
}
