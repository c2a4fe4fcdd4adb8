import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Database } from "@switchboard/kernel/database/database";
import { migrate } from "@switchboard/kernel/database/migrate";
import { openDatabase } from "@switchboard/kernel/database/open-database";
import { createLogger } from "@switchboard/kernel/telemetry/logger";
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import fc from "fast-check";
import type { BackwardRead, ForwardRead, Graph } from "../src/rules/graph.ts";
import { formatRelationship, type Relationship } from "../src/rules/reference.ts";
import { insertRelationships } from "../src/store/relationships.ts";
import { sqlGraph } from "../src/store/sql-graph.ts";
import { MemoryGraph } from "./memory-graph.ts";

let server: TestDatabase;
let database: Database;
before(async () => {
  server = await testDatabase();
  const log = createLogger({ level: "silent", service: "authz", instanceId: "test" });
  const folder = fileURLToPath(new URL("../migrations/", import.meta.url));
  await migrate({ url: server.url("authz_owner"), schema: "authz", folder, log });
  database = openDatabase({ url: server.url("authz"), schema: "authz", log });
});
after(async () => {
  await database[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

// Ids that SQL could mistake for one another by letter case or by order.
const id = fc.constantFrom("a", "A", "a.", "-1", "1");
const type = fc.constantFrom("t", "v");
const name = fc.constantFrom("r", "s");
const form = fc.record({ type, relation: fc.constantFrom("", "r") });
const set = fc.record({ type, id, name });
const relation = fc.record({ type, relation: name });
const some = <T>(of: fc.Arbitrary<T>) => fc.uniqueArray(of, { maxLength: 4, selector: (it) => JSON.stringify(it) });
const row: fc.Arbitrary<Relationship> = fc
  .tuple(fc.record({ type, id }), name, id, form)
  .map(([object, relation, subjectId, subject]) => ({ object, relation, subject: { ...subject, id: subjectId } }));
const forward: fc.Arbitrary<ForwardRead> = fc.record({
  members: some(set),
  pointers: some(set),
  wanted: fc.oneof(fc.record({ type, id }), fc.record({ type })),
});
const backward: fc.Arbitrary<BackwardRead> = fc.record({
  subjects: some(fc.tuple(form, id).map(([subject, subjectId]) => ({ ...subject, id: subjectId }))),
  every: some(form),
  relations: some(relation),
});

/** Doubles are allowed, and order is free. */
const textsOf = (rows: readonly Relationship[]) => [...new Set(rows.map(formatRelationship))].sort();

/** Rolled back at the end, so that runs do not meet. */
async function stored(rows: readonly Relationship[], work: (graph: Graph) => Promise<void>): Promise<void> {
  const over = new Error("over");
  const run = database.transaction({ actor: "service:authz", trace: undefined }, async (tx) => {
    await insertRelationships(tx.queries, rows);
    await work(sqlGraph(tx.queries, () => {}));
    throw over;
  });
  await run.catch((error: unknown) => assert.equal(error, over, String(error)));
}

test("SQL reads what memory reads", async () => {
  const rows = fc.uniqueArray(row, { maxLength: 30, selector: formatRelationship });
  await fc.assert(
    fc.asyncProperty(rows, forward, backward, async (relationships, forwardRead, backwardRead) => {
      const memory = new MemoryGraph(relationships);
      await stored(relationships, async (graph) => {
        const many = 1_000;
        const found = await graph.forward(forwardRead, many);
        assert.deepEqual(textsOf(found), textsOf(await memory.forward(forwardRead, many)));
        const reached = await graph.backward(backwardRead, many);
        assert.deepEqual(textsOf(reached), textsOf(await memory.backward(backwardRead, many)));
        for (const known of ["t", "v", "w"]) {
          assert.deepEqual(
            [...(await graph.objectsOf(known, many))].sort(),
            [...(await memory.objectsOf(known, many))].sort(),
          );
        }
        for (const limit of [0, 3]) {
          assert.equal((await graph.forward(forwardRead, limit)).length, Math.min(limit + 1, found.length));
          assert.equal((await graph.backward(backwardRead, limit)).length, Math.min(limit + 1, reached.length));
        }
      });
    }),
    { numRuns: 150 },
  );
});

test("who is wanted is read before the sets that a limit cuts off", async () => {
  const object = { type: "t", id: "a" };
  const sets = Array.from({ length: 5_000 }, (_, n) => ({
    object,
    relation: "r",
    subject: { type: "v", id: `g${n}`, relation: "r" },
  }));
  const wanted = { object, relation: "r", subject: { type: "v", id: "z", relation: "" } };
  await stored([...sets, wanted], async (graph) => {
    const read = { members: [{ ...object, name: "r" }], pointers: [], wanted: { type: "v", id: "z" } };
    assert.ok((await graph.forward(read, 10)).map(formatRelationship).includes(formatRelationship(wanted)));
  });
});
