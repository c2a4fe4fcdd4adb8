import assert from "node:assert/strict";
import { test } from "node:test";
import type { MethodPolicy } from "@switchboard/contract/policy";
import { stricterPolicy } from "./stricter-policy.ts";

const loose: MethodPolicy = {
  name: "x.v1.X/Y",
  access: "public",
  permission: undefined,
  rateLimit: undefined,
  timeoutMs: undefined,
  maxRequestBytes: 2_000,
  audit: "none",
  repeatable: true,
  sideEffectFree: true,
  withoutServiceToken: true,
};
const strict: MethodPolicy = {
  ...loose,
  access: "internal",
  permission: { permission: "view", object: "a:b", field: undefined },
  rateLimit: { requests: 1, windowMs: 1_000, burst: 1, key: "user" },
  timeoutMs: 1_000,
  maxRequestBytes: 1_000,
  audit: "write",
  repeatable: false,
  sideEffectFree: false,
  withoutServiceToken: false,
};

test("each point takes the stricter of the two, whichever comes first", () => {
  assert.deepEqual(stricterPolicy(loose, strict), strict);
  assert.deepEqual(stricterPolicy(strict, loose), strict);
  const rarer = { requests: 30, windowMs: 60_000, burst: 90, key: "address" } as const;
  assert.equal(stricterPolicy(strict, { ...strict, rateLimit: rarer }).rateLimit, rarer);
});
