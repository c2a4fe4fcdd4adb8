/** The stored relationships as the evaluator reads them: one statement for each level of a search. */
import type { Queries } from "@switchboard/kernel/database/database";
import { type SQL, sql } from "drizzle-orm";
import type { BackwardRead, ForwardRead, Graph } from "../rules/graph.ts";
import type { Relationship } from "../rules/reference.ts";

/** Where a read finds nothing, one row comes with the revision alone. */
interface Row extends Record<string, unknown> {
  readonly revision: string;
  readonly object_type: string;
  readonly object_id: string | null;
  readonly relation: string;
  readonly subject_type: string;
  readonly subject_id: string;
  readonly subject_relation: string;
}

/** @param atRevision hears after every statement which revision it saw. */
export function sqlGraph(queries: Queries, atRevision: (revision: bigint) => void): Graph {
  /** A statement has one snapshot: the revision is that of the rows. */
  const read = async (found: SQL): Promise<readonly Row[]> => {
    const rows = await queries.execute<Row>(
      sql`SELECT v.value::text AS revision, found.* FROM authz.revision v LEFT JOIN (${found}) found ON true`,
    );
    atRevision(BigInt(rows[0]?.revision ?? 0));
    return rows;
  };
  /** A part without anything to look for is left out: it would be planned as a search of the whole table. */
  const relationships = async (limit: number, parts: readonly (SQL | false)[]): Promise<readonly Relationship[]> => {
    const asked = parts.filter((part) => part !== false);
    if (asked.length === 0) return [];
    const found = sql.join(asked, sql` UNION ALL `);
    return (await read(sql`${found} LIMIT ${limit + 1}`)).flatMap(relationshipOf);
  };
  return {
    forward({ members, pointers, wanted }: ForwardRead, limit) {
      const wantedId = wanted.id === undefined ? sql`` : sql`AND r.subject_id = ${wanted.id}`;
      const under = (sets: ForwardRead["members"]) => sql`
        json_to_recordset(${JSON.stringify(sets)}::json) AS s(type text, id text, name text)
        JOIN authz.relationship r ON r.object_type = s.type AND r.object_id = s.id AND r.relation = s.name`;
      return relationships(limit, [
        // Those who are wanted come first, for the limit cuts off at the end.
        members.length > 0 &&
          sql`SELECT r.* FROM ${under(members)} WHERE r.subject_type = ${wanted.type} ${wantedId} AND r.subject_relation = ''`,
        members.length > 0 && sql`SELECT r.* FROM ${under(members)} WHERE r.subject_relation <> ''`,
        pointers.length > 0 && sql`SELECT r.* FROM ${under(pointers)} WHERE r.subject_relation = ''`,
      ]);
    },
    backward({ subjects, every, relations }: BackwardRead, limit) {
      const relevant = sql`(r.object_type, r.relation) IN (
        SELECT type, relation FROM json_to_recordset(${JSON.stringify(relations)}::json) AS x(type text, relation text))`;
      return relationships(limit, [
        subjects.length > 0 &&
          sql`
            SELECT r.* FROM authz.relationship r
            JOIN json_to_recordset(${JSON.stringify(subjects)}::json) AS s(type text, id text, relation text)
              ON r.subject_type = s.type AND r.subject_id = s.id AND r.subject_relation = s.relation
            WHERE ${relevant}`,
        every.length > 0 &&
          sql`
            SELECT r.* FROM authz.relationship r
            JOIN json_to_recordset(${JSON.stringify(every)}::json) AS e(type text, relation text)
              ON r.subject_type = e.type AND r.subject_relation = e.relation
            WHERE ${relevant}`,
      ]);
    },
    async objectsOf(type, limit) {
      const rows = await read(sql`
        SELECT object_id FROM authz.relationship WHERE object_type = ${type}
        UNION
        SELECT subject_id FROM authz.relationship WHERE subject_type = ${type}
        LIMIT ${limit + 1}`);
      return rows.flatMap((row) => row.object_id ?? []);
    },
  };
}

function relationshipOf(row: Row): readonly Relationship[] {
  if (row.object_id === null) return [];
  return [
    {
      object: { type: row.object_type, id: row.object_id },
      relation: row.relation,
      subject: { type: row.subject_type, id: row.subject_id, relation: row.subject_relation },
    },
  ];
}
