import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Committed, Share } from "./share.ts";

/** What the next member does again, of offsets up to `end`, with the attempts that failed. */
function again(committed: Committed, end: number): [number, number][] {
  const share = new Share("t", 0, committed);
  const admitted: [number, number][] = [];
  for (let offset = committed.offset; offset < end; offset++) {
    const failures = share.admit(offset);
    if (failures !== undefined) admitted.push([offset, failures]);
  }
  return admitted;
}

function read(from: number, to: number): Share {
  const share = new Share("t", 0, { offset: from, note: "" });
  for (let offset = from; offset < to; offset++) share.admit(offset);
  return share;
}

test("where all is done there is nothing but an offset", () => {
  const share = read(5, 8);
  assert.equal(share.take(), undefined);
  for (const offset of [6, 5, 7]) share.done(offset);
  assert.deepEqual(share.take(), { offset: 8, note: "" });
  assert.equal(share.take(), undefined);
  share.untold();
  assert.deepEqual(share.take(), { offset: 8, note: "" });
});

test("whoever reads next does exactly what was not done, and knows what failed", () => {
  const offsets = fc.uniqueArray(fc.nat(99));
  fc.assert(
    fc.property(offsets, fc.array(fc.tuple(fc.nat(99), fc.integer({ min: 1, max: 99 }))), (done, failed) => {
      const share = read(1_000, 1_100);
      const undone = new Map(Array.from({ length: 100 }, (_, index) => [1_000 + index, 0]));
      for (const [index, attempts] of failed) {
        undone.set(1_000 + index, attempts);
        share.failed(1_000 + index, attempts);
      }
      for (const index of done) {
        undone.delete(1_000 + index);
        share.done(1_000 + index);
      }
      const committed = share.take();
      if (committed) assert.deepEqual(again(committed, 1_100), [...undone]);
      else assert.equal(undone.size, 100);
    }),
  );
});

test("a note is never longer than Kafka takes; what it cannot say is done again", () => {
  const share = read(0, 20_000);
  for (let offset = 1; offset < 20_000; offset += 2) share.done(offset);
  const committed = share.take();
  assert.ok(committed && committed.note.length < 4_096 && committed.note.length > 100);
  const repeated = new Set(again(committed, 20_000).map(([offset]) => offset));
  for (let offset = 0; offset < 20_000; offset += 2) assert.ok(repeated.has(offset));
  assert.ok(repeated.size < 20_000);
});

test("a note of somebody else, or one that would take for ever, says nothing", () => {
  for (const note of ["consumer-1-2f0c", "5;0-99999999999;", "x;0-1;", "10;0-9;0x1;"]) {
    const share = new Share("t", 0, { offset: 0, note });
    assert.equal(share.admit(0), 0, note);
  }
});
