/** Reads and changes stored relationships, and the revision that every change moves on. */
import type { Queries } from "@switchboard/kernel/database/database";
import { and, asc, eq, or, type SQL, sql } from "drizzle-orm";
import type { ObjectRef, Relationship } from "../rules/reference.ts";
import { type RelationshipRow, relationshipOf, relationships, rowOf } from "./relationship-table.ts";

/** Locks out other changes until the transaction ends. The revision that they left. */
export async function lockRevision(queries: Queries): Promise<bigint> {
  const [row] = await queries.execute<{ value: string }>(sql`SELECT value::text FROM authz.revision FOR UPDATE`);
  return BigInt(row?.value ?? 0);
}

/** The new revision; other changes are locked out until the transaction ends. */
export async function nextRevision(queries: Queries): Promise<bigint> {
  const [row] = await queries.execute<{ value: string }>(
    sql`UPDATE authz.revision SET value = value + 1 RETURNING value::text`,
  );
  return BigInt(row?.value ?? 0);
}

export async function currentRevision(queries: Queries): Promise<bigint> {
  const [row] = await queries.execute<{ value: string }>(sql`SELECT value::text FROM authz.revision`);
  return BigInt(row?.value ?? 0);
}

/** Those that were not there. */
export async function insertRelationships(
  queries: Queries,
  added: readonly Relationship[],
): Promise<readonly Relationship[]> {
  if (added.length === 0) return [];
  const rows = await queries.insert(relationships).values(added.map(rowOf)).onConflictDoNothing().returning();
  return rows.map(relationshipOf);
}

/** Those that were there. */
export async function deleteRelationships(
  queries: Queries,
  removed: readonly Relationship[],
): Promise<readonly Relationship[]> {
  if (removed.length === 0) return [];
  const { objectType, objectId, relation, subjectType, subjectId, subjectRelation } = relationships;
  const rows = await queries
    .delete(relationships)
    .where(
      sql`(${objectType}, ${objectId}, ${relation}, ${subjectType}, ${subjectId}, ${subjectRelation}) IN (
        SELECT * FROM json_to_recordset(${JSON.stringify(removed.map(rowOf))}::json) AS gone(
          "objectType" text, "objectId" text, relation text, "subjectType" text, "subjectId" text, "subjectRelation" text))`,
    )
    .returning();
  return rows.map(relationshipOf);
}

/** Everything that a subject, or an object, stands in. */
export async function deleteAllOf(queries: Queries, ref: ObjectRef): Promise<readonly Relationship[]> {
  const asSubject = and(eq(relationships.subjectType, ref.type), eq(relationships.subjectId, ref.id));
  const asObject = and(eq(relationships.objectType, ref.type), eq(relationships.objectId, ref.id));
  const rows = [
    ...(await queries.delete(relationships).where(asSubject).returning()),
    ...(await queries.delete(relationships).where(asObject).returning()),
  ];
  return rows.map(relationshipOf);
}

/** What a subject itself was given in relations of these names. */
export async function deleteGrantsOf(
  queries: Queries,
  ref: ObjectRef,
  roles: readonly { readonly type: string; readonly role: string }[],
): Promise<readonly Relationship[]> {
  const own = and(
    eq(relationships.subjectType, ref.type),
    eq(relationships.subjectId, ref.id),
    eq(relationships.subjectRelation, ""),
  );
  const rows = await queries
    .delete(relationships)
    .where(and(own, isOneOf(roles)))
    .returning();
  return rows.map(relationshipOf);
}

/** Whether the relation of a row is one of these. */
export function isOneOf(roles: readonly { readonly type: string; readonly role: string }[]): SQL {
  const { objectType, relation } = relationships;
  return or(...roles.map(({ type, role }) => and(eq(objectType, type), eq(relation, role)))) ?? sql`false`;
}

/** Relationships that match every value given; ordered by all columns, from after `after`. */
export async function findRelationships(
  queries: Queries,
  matching: Partial<RelationshipRow>,
  page: { readonly after?: RelationshipRow | undefined; readonly limit: number },
  conditions: readonly SQL[] = [],
): Promise<readonly Relationship[]> {
  const columns = orderOf();
  const equal = Object.entries(matching).map(([name, value]) =>
    eq(relationships[name as keyof RelationshipRow], value),
  );
  const { after } = page;
  const later = after && sql`(${sql.join([...columns], sql`, `)}) > (${sql.join(valuesOf(after), sql`, `)})`;
  const rows = await queries
    .select()
    .from(relationships)
    .where(and(...equal, ...conditions, later))
    .orderBy(...columns.map((column) => asc(column)))
    .limit(page.limit);
  return rows.map(relationshipOf);
}

function orderOf() {
  const { objectType, objectId, relation, subjectType, subjectId, subjectRelation } = relationships;
  return [objectType, objectId, relation, subjectType, subjectId, subjectRelation] as const;
}

function valuesOf(row: RelationshipRow): SQL[] {
  const { objectType, objectId, relation, subjectType, subjectId, subjectRelation } = row;
  return [objectType, objectId, relation, subjectType, subjectId, subjectRelation].map((value) => sql`${value}`);
}
