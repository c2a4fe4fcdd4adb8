import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { checkLog, type LogFault, type StoredEntry, type StoredHead } from "./check-log.ts";
import { leafHash, MerkleTree } from "./merkle.ts";

interface Log {
  entries: StoredEntry[];
  heads: StoredHead[];
}

function entryOf(sequence: number, text: string): StoredEntry {
  const bytes = Buffer.from(text);
  return { sequence, bytes, leafHash: leafHash(bytes), writtenAs: sequence, columnsAgree: true };
}

/** A log written in batches of the given sizes. */
function logOf(...batches: readonly number[]): Log {
  const tree = new MerkleTree();
  const log: Log = { entries: [], heads: [] };
  for (const batch of batches) {
    for (let count = 0; count < batch; count++) {
      const entry = entryOf(tree.size + 1, `entry ${tree.size + 1}`);
      tree.append(entry.leafHash);
      log.entries.push(entry);
    }
    log.heads.push({ size: tree.size, head: tree.root() });
  }
  return log;
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

function check({ entries, heads }: Log, known?: StoredHead) {
  return checkLog({ entries: each(entries), heads: each(heads), known });
}

async function faultIn(log: Log, known?: StoredHead): Promise<Pick<LogFault, "kind" | "sequence">> {
  const result = await check(log, known);
  assert.ok(!result.ok, "the log was taken for whole");
  return { kind: result.fault.kind, sequence: result.fault.sequence };
}

const at = <T>(items: readonly T[], index: number): T => items.at(index) ?? assert.fail();

describe("checking a log", () => {
  test("takes an empty one, and gives the head of nothing", async () => {
    const result = await check(logOf());
    assert.deepEqual(result, { ok: true, size: 0, head: new MerkleTree().root() });
  });

  test("takes a whole one, and gives the head that was kept last", async () => {
    const log = logOf(3, 1, 5);
    assert.deepEqual(await check(log), { ok: true, size: 9, head: at(log.heads, -1).head });
  });

  test("takes every head that was ever told, between batches too", async () => {
    const log = logOf(3, 1, 5);
    for (const known of [...log.heads, at(logOf(5).heads, 0)]) assert.ok((await check(log, known)).ok);
  });

  test("finds whichever entry is changed", async () => {
    for (const index of [0, 4, 8]) {
      const log = logOf(3, 1, 5);
      log.entries[index] = { ...at(log.entries, index), bytes: Buffer.from("something else") };
      assert.deepEqual(await faultIn(log), { kind: "CHANGED", sequence: index + 1 });
    }
  });

  test("finds an entry that was changed together with its hash, by the head of its batch", async () => {
    const log = logOf(3, 1, 5);
    log.entries[6] = entryOf(7, "something else");
    assert.deepEqual(await faultIn(log), { kind: "CHANGED", sequence: 5 });
  });

  test("finds an entry that is listed as something else, or cannot be read", async () => {
    const log = logOf(3);
    log.entries[1] = { ...at(log.entries, 1), columnsAgree: false };
    assert.deepEqual(await faultIn(log), { kind: "CHANGED", sequence: 2 });
    log.entries[1] = { ...at(log.entries, 1), writtenAs: undefined };
    assert.deepEqual(await faultIn(log), { kind: "CHANGED", sequence: 2 });
  });

  test("finds whichever entry is missing", async () => {
    for (const index of [0, 3, 7]) {
      const log = logOf(3, 1, 5);
      log.entries.splice(index, 1);
      assert.deepEqual(await faultIn(log), { kind: "MISSING", sequence: index + 1 });
    }
  });

  test("finds entries that changed places", async () => {
    const log = logOf(3, 1, 5);
    const [second, eighth] = [at(log.entries, 1), at(log.entries, 7)];
    log.entries[1] = { ...eighth, sequence: 2 };
    log.entries[7] = { ...second, sequence: 8 };
    assert.deepEqual(await faultIn(log), { kind: "REORDERED", sequence: 2 });
  });

  test("finds an entry that was put before the first", async () => {
    const log = logOf(3);
    log.entries.unshift(entryOf(0, "before everything"));
    assert.deepEqual(await faultIn(log), { kind: "REORDERED", sequence: 0 });
  });

  test("finds entries that were added behind the log's back", async () => {
    const log = logOf(3, 1);
    log.entries.push(entryOf(5, "never happened"));
    assert.deepEqual(await faultIn(log), { kind: "CHANGED", sequence: 5 });
  });

  test("finds a tail that was cut off, as long as its heads are there", async () => {
    const log = logOf(3, 1, 5);
    log.entries.splice(6);
    assert.deepEqual(await faultIn(log), { kind: "TRUNCATED", sequence: 7 });
    log.entries.splice(0);
    assert.deepEqual(await faultIn(log), { kind: "TRUNCATED", sequence: 1 });
  });

  test("finds a tail that was cut off with its heads, by what somebody knows", async () => {
    const known = at(logOf(3, 1, 5).heads, -1);
    assert.ok((await check(logOf(3, 1))).ok);
    assert.deepEqual(await faultIn(logOf(3, 1), known), { kind: "TRUNCATED", sequence: 5 });
    assert.deepEqual(await faultIn(logOf(), known), { kind: "TRUNCATED", sequence: 1 });
  });

  test("finds a log that was written anew, by what somebody knows", async () => {
    const known = { size: 4, head: leafHash(Buffer.from("another log")) };
    assert.deepEqual(await faultIn(logOf(3, 1, 5), known), { kind: "TRUNCATED", sequence: 0 });
  });

  test("finds any change of any byte in any batching", async () => {
    const batches = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(batches, fc.nat(), fc.boolean(), async (sizes, choice, rehashed) => {
        const log = logOf(...sizes);
        const index = choice % log.entries.length;
        const bytes = Buffer.from(at(log.entries, index).bytes);
        bytes[choice % bytes.length] = at([...bytes], choice % bytes.length) ^ 1;
        const changed = { ...at(log.entries, index), bytes };
        log.entries[index] = rehashed ? { ...changed, leafHash: leafHash(bytes) } : changed;
        const fault = await faultIn(log);
        assert.equal(fault.kind, "CHANGED");
        assert.ok(fault.sequence <= index + 1);
      }),
    );
  });
});
