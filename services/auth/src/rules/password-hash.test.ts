import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatPasswordHash, isOutdated, PARAMETERS, parsePasswordHash } from "./password-hash.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test("a hash is read as it was written, and is up to date", () => {
  fc.assert(
    fc.property(bytes(16), bytes(32), (salt, hash) => {
      const text = formatPasswordHash({ ...PARAMETERS, salt, hash });
      const parsed = parsePasswordHash(text);
      assert.deepEqual(
        { ...parsed, salt: new Uint8Array(parsed.salt), hash: new Uint8Array(parsed.hash) },
        { ...PARAMETERS, salt, hash },
      );
      assert.ok(!isOutdated(text));
    }),
  );
});

test("a hash with other parameters is outdated", () => {
  assert.ok(isOutdated("$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$aGFzaA"));
});

test("anything else is no hash", () => {
  for (const text of [
    "",
    "plain",
    "$argon2i$v=19$m=4096,t=3,p=1$c2FsdA$aGFzaA",
    "$argon2id$m=1,t=1,p=1$c2FsdA$aGFzaA",
  ]) {
    assert.throws(() => parsePasswordHash(text));
  }
});
