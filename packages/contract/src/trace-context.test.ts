import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { childOf, formatTraceparent, parseTraceparent } from "./trace-context.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

describe("a traceparent", () => {
  test("is read as the specification writes it", () => {
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, sampled: true });
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-00`), { traceId, spanId, sampled: false });
    assert.equal(parseTraceparent(`00-${traceId}-${spanId}-03`)?.sampled, true);
  });

  test("of a later version is read as far as it is known", () => {
    assert.deepEqual(parseTraceparent(`cc-${traceId}-${spanId}-01-what-comes`), { traceId, spanId, sampled: true });
  });

  for (const header of [
    undefined,
    null,
    "",
    "nonsense",
    `00-${traceId}-${spanId}`,
    `ff-${traceId}-${spanId}-01`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${traceId}-${spanId}-01-`,
    `00-${traceId}-${spanId}-011`,
  ]) {
    test(`that is malformed is as if none came: ${header}`, () => assert.equal(parseTraceparent(header), undefined));
  }

  test("survives writing and reading, and goes on with its trace and its sampling", () => {
    fc.assert(
      fc.property(fc.boolean(), (sampled) => {
        const child = childOf({ traceId, spanId, sampled });
        assert.equal(child.traceId, traceId);
        assert.notEqual(child.spanId, spanId);
        assert.deepEqual(parseTraceparent(formatTraceparent(child)), child);
        assert.equal(child.sampled, sampled);
      }),
    );
  });

  test("begins a new trace where there is none", () => {
    assert.notEqual(childOf(undefined).traceId, childOf(undefined).traceId);
  });
});
