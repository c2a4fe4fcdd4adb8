import assert from "node:assert/strict";
import { test } from "node:test";
import {
  deriveKey,
  hashSecret,
  isApiKeySecret,
  isRefreshToken,
  matchesHash,
  newApiKeySecret,
  newRefreshToken,
  successorOf,
  tokenIdOf,
} from "./secrets.ts";

test("an API key is told from everything else, one wrong character included", () => {
  const secret = newApiKeySecret();
  assert.ok(isApiKeySecret(secret));
  for (let index = 0; index < secret.length; index++) {
    const other = secret[index] === "A" ? "B" : "A";
    assert.ok(!isApiKeySecret(secret.slice(0, index) + other + secret.slice(index + 1)));
  }
});

test("a token's successor follows from it and the key alone, and looks like any token", () => {
  const [key, otherKey] = [deriveKey("secret", "one"), deriveKey("secret", "other")];
  const token = newRefreshToken();
  const successor = successorOf(token, key);
  assert.ok(isRefreshToken(token) && isRefreshToken(successor));
  assert.equal(successorOf(token, key), successor);
  assert.notEqual(successorOf(token, otherKey), successor);
  assert.notEqual(successorOf(successor, key), token);
  assert.ok(!successor.startsWith(tokenIdOf(token, key)));
});

test("a secret matches its own hash only", () => {
  assert.ok(matchesHash("secret", hashSecret("secret")));
  assert.ok(!matchesHash("Secret", hashSecret("secret")));
});
