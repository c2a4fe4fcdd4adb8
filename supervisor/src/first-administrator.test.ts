import assert from "node:assert/strict";
import { test } from "node:test";
import { firstAdministratorLine } from "./first-administrator.ts";

test("a password that was made is shown, one that a person chose is not", () => {
  const made = "7mCzYw0xQeS1kTtN4bVhJdLa";
  assert.match(
    firstAdministratorLine("admin@example.com", undefined, made),
    /shown this once: admin@example\.com 7mCz/,
  );
  const chosen = firstAdministratorLine("admin@example.com", "chosen by a person", "chosen by a person");
  assert.match(chosen, /admin@example\.com/);
  assert.doesNotMatch(chosen, /chosen by/);
});
