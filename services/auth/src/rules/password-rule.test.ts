import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { COMMON_PASSWORDS } from "./common-passwords.ts";
import { normalizePassword, passwordFault } from "./password-rule.ts";

const fault = (password: string, minLength = 15) => passwordFault(password, "ada.byron@example.com", minLength);

describe("a new password", () => {
  test("is counted in characters, not in bytes or UTF-16 units", () => {
    assert.equal(fault("🦊🐙🌵🚲🎻🧭🪁🍋🧊🪐🎲🧶🛶🪗🥁"), undefined);
    assert.match(fault("🦊🐙🌵🚲🎻🧭🪁🍋🧊🪐🎲🧶🛶🪗") ?? "", /at least 15/);
    assert.match(fault("four score and 7".repeat(16).slice(0, 255).concat("éé")) ?? "", /at most 256/);
  });

  test("may have any characters, and needs none", () => {
    for (const password of ["the engine weaves algebra", "纺织机编织着代数的图案就像提花机", "   spaces   count   "]) {
      assert.equal(fault(password), undefined);
    }
  });

  const weak: readonly string[] = [
    "aaaaaaaaaaaaaaaaaaaa",
    "abcabcabcabcabcabc",
    "passwordpassword",
    "PasswordPasswordPassword",
    "123456789012345",
    "987654321098765",
    "abcdefghijklmnopq",
    "zyxwvutsrqponmlkj",
    "qwertyuiopasdfghjkl",
    "lkjhgfdsapoiuytrewq",
    "1q2w3e4r5t6y7u8i9o",
    "Administrator123",
    "ada.byron@example.com",
    "ada.byron12345678",
    "switchboard12345",
    "SwitchboardSwitchboard",
  ];
  for (const password of weak) test(`is not ${password}`, () => assert.ok(fault(password)));

  test("is none of the most common ones, in any letter case", () => {
    for (const password of COMMON_PASSWORDS) {
      assert.ok(fault(password, 8), password);
      assert.ok(fault(password.toUpperCase(), 8), password);
    }
  });

  test("may contain the e-mail's name where enough is left without it", () => {
    assert.equal(fault("ada.byron weaves algebraic patterns"), undefined);
  });

  test("is judged alike in every Unicode form of it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }), (password) => {
        assert.equal(fault(password.normalize("NFD")), fault(password.normalize("NFC")));
        assert.equal(normalizePassword(password.normalize("NFD")), normalizePassword(password));
      }),
    );
  });
});
