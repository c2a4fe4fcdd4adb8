import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFilter } from "@switchboard/contract/filter";
import { UserStateSchema } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { and } from "drizzle-orm";
import { bigint, PgDialect, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import fc from "fast-check";
import { conditionsOf } from "./filter-conditions.ts";

const notes = pgTable("notes", {
  title: text("title").notNull(),
  state: text("state").notNull(),
  made: timestamp("made").notNull(),
  size: bigint("size", { mode: "number" }).notNull(),
});

const fields = {
  title: { type: "string" },
  state: { type: "enum", values: UserStateSchema },
  made: { type: "timestamp" },
  size: { type: "int" },
} as const;

function sqlOf(filter: string): { sql: string; params: unknown[] } {
  const conditions = conditionsOf(parseFilter(filter, fields), {
    title: { column: notes.title, text: (value) => value.toLowerCase() },
    state: { column: notes.state, enumAs: "name" },
    made: { column: notes.made },
    size: { column: notes.size },
  });
  const { sql, params } = new PgDialect().sqlToQuery(and(...conditions) ?? assert.fail());
  return { sql: sql.replaceAll('"notes".', ""), params };
}

for (const [filter, sql, params] of [
  ['title = "A_b"', '"title" = $1', ["a_b"]],
  ['title != "A%*"', '"title" NOT LIKE $1', ["a\\%%"]],
  ['title = "*\\\\A_"', '"title" LIKE $1', ["%\\\\a\\_"]],
  ["title:x", '"title" LIKE $1', ["%x%"]],
  ["title >= M", '"title" >= $1', ["m"]],
  ["state != DISABLED", '"state" <> $1', ["DISABLED"]],
  ["made < 2026-01-01T00:00:00.123456Z", '"made" < $1::timestamptz', ["2026-01-01T00:00:00.123456Z"]],
  ["size > 9007199254740993", '"size" > $1::bigint', ["9007199254740993"]],
  ["size = 1 AND state = ACTIVE", '("size" = $1::bigint and "state" = $2)', ["1", "ACTIVE"]],
] as const) {
  test(filter, () => assert.deepEqual(sqlOf(filter), { sql, params }));
}

test("no value ever becomes a part of the statement", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (value) => {
      fc.pre(!value.includes("\0"));
      const quoted = `"${value.replace(/[\\"*]/g, "\\$&")}"`;
      assert.deepEqual(sqlOf(`title = ${quoted}`), { sql: '"title" = $1', params: [value.toLowerCase()] });
    }),
  );
});
