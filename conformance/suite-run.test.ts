import assert from "node:assert/strict";
import { test } from "node:test";
import { countOf } from "./suite-run.ts";

test("what the suite counted is read from its last lines", () => {
  assert.deepEqual(countOf("FAILED: Basic/success:\n\twhy\n\nTotal cases: 15\n12 passed, 3 failed\n"), {
    passed: 12,
    failed: 3,
    known_failing: 0,
  });
});

test("what could not be run counts as failed; what was known to fail is counted apart", () => {
  const text = `Total cases: 9
5 passed, 1 failed
Another 2 could not be run due to client timing out or exiting prematurely.
(Another 3 failed as expected due to being known failures/flakes.)
`;
  assert.deepEqual(countOf(text), { passed: 5, failed: 3, known_failing: 3 });
});

test("a suite that was cut counted nothing", () => assert.equal(countOf("FAILED: Basic/success:\n"), undefined));
