import assert from "node:assert/strict";
import { it } from "node:test";
import { testDatabase } from "@switchboard/testkit/database";
import fc from "fast-check";
import { readArray, writeArray } from "./array-literal.ts";
import { Connection } from "./connection.ts";

const texts = ["", " ", "a", "NULL", "null", '"', "\\", "{}", "a,b", "\n", "'", "\\\\n", "ä\u{1f600}"];

it("reads what it wrote", () => {
  const values = fc.array(fc.option(fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...texts))));
  fc.assert(fc.property(values, (array) => assert.deepEqual(readArray(writeArray(array), String), array)));
});

it("PostgreSQL reads what it wrote, and it reads what PostgreSQL wrote", async () => {
  await using database = await testDatabase();
  await using connection = new Connection({ url: database.url("notes"), applicationName: "test" });
  const [row] = await connection.query(
    `select $1::text[] as texts, cardinality($1::text[]) as count, array[1, null, -2] as numbers,
       array[true, false] as booleans, array[]::text[] as none`,
    [[...texts, null]],
  );
  assert.deepEqual(row, {
    texts: [...texts, null],
    count: texts.length + 1,
    numbers: [1, null, -2],
    booleans: [true, false],
    none: [],
  });
});
