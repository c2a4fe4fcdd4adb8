import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatObject, formatSubject, isName, parseObject, parseSubject } from "./reference.ts";

test("objects are type:id, subjects may be sets", () => {
  assert.deepEqual(parseObject("user:0192~a@b.c+d-E_9"), { type: "user", id: "0192~a@b.c+d-E_9" });
  assert.deepEqual(parseSubject("user:a"), { type: "user", id: "a", relation: "" });
  assert.deepEqual(parseSubject("group:g#member"), { type: "group", id: "g", relation: "member" });
});

test("everything else is refused", () => {
  const wrong = [
    "",
    "user",
    "user:",
    ":a",
    "User:a",
    "user:a b",
    "user:a:b",
    "us-er:a",
    "1user:a",
    "user:ä",
    "user:a\n",
  ];
  for (const text of [...wrong, "user:*", `user:${"a".repeat(129)}`, `${"u".repeat(64)}:a`, "group:g#member"]) {
    assert.equal(parseObject(text), undefined, text);
  }
  for (const text of [...wrong, "group:g#", "group:g#Member", "group:g#a#b", "#member", "group#member"]) {
    assert.equal(parseSubject(text), undefined, text);
  }
  assert.equal(parseObject(`user:${"a".repeat(128)}`)?.id.length, 128);
  assert.ok(!isName("") && !isName("A") && isName("a_1"));
});

test("what is parsed is printed as it was written", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z][a-z_]{0,9}:[A-Za-z0-9._~@+-]{1,9}(#[a-z]{1,5})?$/), (text) => {
      const subject = parseSubject(text);
      assert.ok(subject);
      assert.equal(formatSubject(subject), text);
      assert.equal(formatObject(subject), text.split("#")[0]);
    }),
  );
});
