import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "./app-error.ts";
import { etagOf, requireEtag } from "./etag.ts";

test("an etag differs by revision and by object", () => {
  const etags = [etagOf("a", 1), etagOf("a", 2), etagOf("b", 1), etagOf("a", 37n)];
  assert.equal(new Set(etags).size, etags.length);
  assert.equal(etagOf("a", 2n), etagOf("a", 2));
});

test("a write passes with the current etag or none, and is aborted with an old one", () => {
  requireEtag("", etagOf("a", 2));
  requireEtag(etagOf("a", 2), etagOf("a", 2));
  assert.throws(
    () => requireEtag(etagOf("a", 1), etagOf("a", 2)),
    (error) => error instanceof AppError && error.reason === "ETAG_MISMATCH" && /read it again/.test(error.message),
  );
});
