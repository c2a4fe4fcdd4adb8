/** The table of relationships; made by migrations/0001-graph.sql. */
import { pgSchema, text } from "drizzle-orm/pg-core";
import type { Relationship } from "../rules/reference.ts";

export const relationships = pgSchema("authz").table("relationship", {
  objectType: text("object_type").notNull(),
  objectId: text("object_id").notNull(),
  relation: text("relation").notNull(),
  subjectType: text("subject_type").notNull(),
  subjectId: text("subject_id").notNull(),
  subjectRelation: text("subject_relation").notNull(),
});

export type RelationshipRow = typeof relationships.$inferSelect;

export function rowOf({ object, relation, subject }: Relationship): RelationshipRow {
  return {
    objectType: object.type,
    objectId: object.id,
    relation,
    subjectType: subject.type,
    subjectId: subject.id,
    subjectRelation: subject.relation,
  };
}

export function relationshipOf(row: RelationshipRow): Relationship {
  return {
    object: { type: row.objectType, id: row.objectId },
    relation: row.relation,
    subject: { type: row.subjectType, id: row.subjectId, relation: row.subjectRelation },
  };
}
