import assert from "node:assert/strict";
import { test } from "node:test";
import { isId } from "./ids.ts";
import { requestIdFrom } from "./request-id.ts";

test("an id that came is kept", () => {
  for (const given of ["r-1", "a~b", "me@host", "Zm9v+/==", "urn:x:1", "x".repeat(128)]) {
    assert.equal(requestIdFrom(given), given);
  }
});

test("in place of none, or of one that cannot be passed on, there is a new one", () => {
  for (const given of [undefined, null, "", "two words", "a\nb", '"', "ü", "x".repeat(129)]) {
    assert.ok(isId(requestIdFrom(given)), String(given));
  }
});
