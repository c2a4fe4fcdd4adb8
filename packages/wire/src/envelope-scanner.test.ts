import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, integer, property, uint8Array } from "fast-check";
import { EnvelopeScanner, envelope } from "./envelope-scanner.ts";

test("messages are counted and bounded, however the bytes are cut", () => {
  const messages = array(uint8Array({ maxLength: 40 }), { maxLength: 8 });
  check(
    property(messages, array(integer({ min: 1, max: 17 }), { minLength: 1, maxLength: 9 }), (all, cuts) => {
      const bytes = Buffer.concat(all.map((message, index) => envelope(index, message)));
      const ends = new Set([0]);
      let end = 0;
      for (const message of all) {
        end += 5 + message.length;
        ends.add(end);
      }
      const scanner = new EnvelopeScanner();
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const next = Math.min(bytes.length, at + (cuts[turn % cuts.length] ?? 1));
        const firstEnd = [...ends].filter((end) => end > at && end <= next).sort((a, b) => a - b)[0];
        assert.equal(scanner.push(bytes.subarray(at, next)), firstEnd === undefined ? -1 : firstEnd - at);
        assert.equal(scanner.atBoundary(), ends.has(next));
        at = next;
      }
      assert.equal(scanner.messages, all.length);
      assert.equal(scanner.longest, Math.max(0, ...all.map((message) => message.length)));
      if (all.length > 0) assert.equal(scanner.flags, all.length - 1);
    }),
  );
});

test("a length of four full bytes is no negative number", () => {
  const scanner = new EnvelopeScanner();
  scanner.push(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff));
  assert.equal(scanner.longest, 0xffffffff);
  assert.equal(scanner.atBoundary(), false);
});
