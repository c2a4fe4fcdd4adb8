/** One change of the graph: the rows, the revision, and the fact for those who remember answers. */
import { RelationshipsChangedSchema } from "@switchboard/gen/switchboard/authz/v1/authz_events_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import { takes } from "../rules/model.ts";
import { formatObject, formatRelationship, formatSubject, type Relationship } from "../rules/reference.ts";
import { deleteRelationships, insertRelationships, lockRevision, nextRevision } from "../store/relationships.ts";
import { listed, requireAllRead } from "./declared.ts";
import type { Models } from "./deps.ts";
import { invalidField } from "./fields.ts";

const MAX_TOLD = 100;

export interface Change {
  /** Those that were not there. */
  readonly written: readonly Relationship[];
  /** Those that were there. */
  readonly deleted: readonly Relationship[];
}

/** With the revision that has the change; where nothing changed, it is the one before. */
export async function changeRelationships(
  tx: Transaction,
  change: { readonly writes: readonly Relationship[]; readonly deletes: readonly Relationship[] },
): Promise<Change & { readonly revision: bigint }> {
  const before = await lockRevision(tx.queries);
  const deleted = await deleteRelationships(tx.queries, change.deletes);
  const written = await insertRelationships(tx.queries, change.writes);
  return { written, deleted, revision: (await publishChange(tx, { written, deleted })) ?? before };
}

/** Moves the revision on and tells of it; undefined where nothing changed. */
export async function publishChange(tx: Transaction, { written, deleted }: Change): Promise<bigint | undefined> {
  const told = (relationships: readonly Relationship[], gone: boolean) =>
    relationships.map(({ object, relation, subject }) => ({
      object: formatObject(object),
      relation,
      subject: formatSubject(subject),
      deleted: gone,
    }));
  const changes = [...told(deleted, true), ...told(written, false)];
  if (changes.length === 0) return undefined;
  const revision = await nextRevision(tx.queries);
  const truncated = changes.length > MAX_TOLD;
  const fact = { revision, changes: truncated ? [] : changes, truncated };
  await tx.publish(RelationshipsChangedSchema, fact, "relationships");
  return revision;
}

/** @throws AppError INVALID_FIELD where the model does not take it, or AUTHZ_UNAVAILABLE where that may still be learnt */
export function requireTaken(models: Models, field: string, relationship: Relationship): void {
  const model = models.current();
  if (takes(model, relationship)) return;
  const { object, relation } = relationship;
  const what = `is no relationship that a registered contract allows: ${formatRelationship(relationship)}`;
  requireAllRead(models, `${field} ${what}`);
  const forms = model.types.get(object.type)?.relations.get(relation)?.subjects ?? [];
  const taken = listed(forms.map((form) => (form.relation === "" ? form.type : `${form.type}#${form.relation}`)));
  throw invalidField(field, `${what}; subjects that "${relation}" on type "${object.type}" takes: ${taken}`);
}
