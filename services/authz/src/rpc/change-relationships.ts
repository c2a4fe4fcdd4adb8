/** One change of the graph: the rows, the revision, and the fact for those who remember answers. */
import { AppError } from "@switchboard/contract/app-error";
import { RelationshipsChangedSchema } from "@switchboard/gen/switchboard/authz/v1/authz_events_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import { type Model, takes } from "../rules/model.ts";
import { formatObject, formatRelationship, formatSubject, type Relationship } from "../rules/reference.ts";
import { deleteRelationships, insertRelationships, nextRevision } from "../store/relationships.ts";
import { tokenOf } from "./consistency-token.ts";

const MAX_TOLD = 100;

/** The token of the revision that has the change. */
export async function changeRelationships(
  tx: Transaction,
  change: { readonly writes: readonly Relationship[]; readonly deletes: readonly Relationship[] },
): Promise<string> {
  const revision = await nextRevision(tx.queries);
  const deleted = await deleteRelationships(tx.queries, change.deletes);
  const written = await insertRelationships(tx.queries, change.writes);
  await publishChange(tx, revision, written, deleted);
  return tokenOf(revision);
}

export async function publishChange(
  tx: Transaction,
  revision: bigint,
  written: readonly Relationship[],
  deleted: readonly Relationship[],
): Promise<void> {
  const told = (relationships: readonly Relationship[], gone: boolean) =>
    relationships.map(({ object, relation, subject }) => ({
      object: formatObject(object),
      relation,
      subject: formatSubject(subject),
      deleted: gone,
    }));
  const changes = [...told(written, false), ...told(deleted, true)];
  if (changes.length === 0) return;
  const truncated = changes.length > MAX_TOLD;
  const fact = { revision, changes: truncated ? [] : changes, truncated };
  await tx.publish(RelationshipsChangedSchema, fact, "relationships");
}

/** @throws AppError INVALID_FIELD where the model does not take it. */
export function requireTaken(model: Model, field: string, relationship: Relationship): void {
  if (takes(model, relationship)) return;
  const description = `is no relationship that a registered contract allows: ${formatRelationship(relationship)}`;
  throw new AppError("INVALID_FIELD", `${field} ${description}`, { violations: [{ field, description }] });
}
