/** The stored relationships as the evaluator reads them: one statement for each level of a search. */
import type { Queries } from "@switchboard/kernel/database/database";
import { type SQL, sql } from "drizzle-orm";
import type { BackwardRead, ForwardRead, Graph } from "../rules/graph.ts";
import type { Relationship } from "../rules/reference.ts";

interface Row extends Record<string, unknown> {
  readonly object_type: string;
  readonly object_id: string;
  readonly relation: string;
  readonly subject_type: string;
  readonly subject_id: string;
  readonly subject_relation: string;
}

export function sqlGraph(queries: Queries): Graph {
  const relationships = async (statement: SQL): Promise<readonly Relationship[]> =>
    Array.from(await queries.execute<Row>(statement), relationshipOf);
  return {
    forward({ members, pointers, wanted }: ForwardRead, limit) {
      const wantedId = wanted.id === undefined ? sql`` : sql`AND r.subject_id = ${wanted.id}`;
      return relationships(sql`
        SELECT r.* FROM authz.relationship r
        JOIN json_to_recordset(${JSON.stringify(members)}::json) AS m(type text, id text, name text)
          ON r.object_type = m.type AND r.object_id = m.id AND r.relation = m.name
        WHERE r.subject_relation <> '' OR (r.subject_type = ${wanted.type} ${wantedId})
        UNION ALL
        SELECT r.* FROM authz.relationship r
        JOIN json_to_recordset(${JSON.stringify(pointers)}::json) AS m(type text, id text, name text)
          ON r.object_type = m.type AND r.object_id = m.id AND r.relation = m.name
        WHERE r.subject_relation = ''
        LIMIT ${limit + 1}`);
    },
    backward({ subjects, every, relations }: BackwardRead, limit) {
      const relevant = sql`(r.object_type, r.relation) IN (
        SELECT type, relation FROM json_to_recordset(${JSON.stringify(relations)}::json) AS x(type text, relation text))`;
      return relationships(sql`
        SELECT r.* FROM authz.relationship r
        JOIN json_to_recordset(${JSON.stringify(subjects)}::json) AS s(type text, id text, relation text)
          ON r.subject_type = s.type AND r.subject_id = s.id AND r.subject_relation = s.relation
        WHERE ${relevant}
        UNION ALL
        SELECT r.* FROM authz.relationship r
        JOIN json_to_recordset(${JSON.stringify(every)}::json) AS e(type text, relation text)
          ON r.subject_type = e.type AND r.subject_relation = e.relation
        WHERE ${relevant}
        LIMIT ${limit + 1}`);
    },
    async objectsOf(type, limit) {
      const rows = await queries.execute<{ id: string }>(sql`
        SELECT object_id AS id FROM authz.relationship WHERE object_type = ${type}
        UNION
        SELECT subject_id FROM authz.relationship WHERE subject_type = ${type}
        LIMIT ${limit + 1}`);
      return Array.from(rows, ({ id }) => id);
    },
  };
}

function relationshipOf(row: Row): Relationship {
  return {
    object: { type: row.object_type, id: row.object_id },
    relation: row.relation,
    subject: { type: row.subject_type, id: row.subject_id, relation: row.subject_relation },
  };
}
