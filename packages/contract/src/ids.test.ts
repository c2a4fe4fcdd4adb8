import assert from "node:assert/strict";
import { test } from "node:test";
import { isId, newId } from "./ids.ts";

test("ids made one after another sort in that order", () => {
  const ids = Array.from({ length: 1000 }, newId);
  assert.deepEqual(ids, ids.toSorted());
  assert.equal(new Set(ids).size, ids.length);
});

test("an id is a UUID in its canonical form", () => {
  assert.ok(isId(newId()));
  assert.ok(isId(newId().toUpperCase()));
  for (const text of ["", "me", newId().replaceAll("-", ""), `{${newId()}}`, `${newId()} `])
    assert.equal(isId(text), false);
});
