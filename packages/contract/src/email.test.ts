import assert from "node:assert/strict";
import { test } from "node:test";
import { emailKey, isEmail } from "./email.ts";

test("letter case and compatible forms do not tell e-mails apart", () => {
  assert.equal(emailKey("Ada.Lovelace@EXAMPLE.com"), emailKey("ada.lovelace@example.com"));
  assert.equal(emailKey("ａda@example.com"), "ada@example.com");
});

test("no letter of any script is told apart by its case, and a key is its own key", () => {
  for (let codePoint = 0x21; codePoint < 0x20000; codePoint++) {
    if (codePoint >= 0xd800 && codePoint < 0xe000) continue;
    const email = `a${String.fromCodePoint(codePoint)}@example.com`;
    const key = emailKey(email);
    assert.equal(emailKey(email.toUpperCase()), key, email);
    assert.equal(emailKey(email.toLowerCase()), key, email);
    assert.equal(emailKey(key), key, email);
  }
});

test("ordinary addresses are taken", () => {
  for (const email of ["ada@example.com", "a@localhost", "o'hara+tag@mail.example.co.uk", "josé@exämple.de"]) {
    assert.ok(isEmail(email), email);
  }
});

test("what is no address is refused", () => {
  const long = `${"a".repeat(65)}@example.com`;
  const longer = `a@${"b.".repeat(130)}com`;
  for (const email of [
    "",
    "ada",
    "@example.com",
    "ada@",
    "a b@c.de",
    "a@b@c",
    "a@b..c",
    "a@-b",
    "a\n@b.c",
    long,
    longer,
  ]) {
    assert.ok(!isEmail(email), email);
  }
});
