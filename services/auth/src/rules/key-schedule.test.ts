import assert from "node:assert/strict";
import { test } from "node:test";
import { CLOCK_TOLERANCE_MS, SERVICE_TOKEN_TTL_MS } from "@switchboard/contract/token";
import { KEY_LEAD_MS, keyChanges, type ScheduledKey, signingKeyAt } from "./key-schedule.ts";

const ROTATION_MS = 24 * 60 * 60_000;
const START = 1_800_000_000_000;

/** What the rows and the signer are after each step of a life of three rotations. */
function live(stepMs: number, check: (keys: readonly ScheduledKey[], now: number) => void): void {
  let keys: ScheduledKey[] = [];
  for (let now = START; now < START + 3.5 * ROTATION_MS; now += stepMs) {
    const { newKeyActivateTime, expiredKids } = keyChanges(keys, ROTATION_MS, now);
    if (newKeyActivateTime !== undefined)
      keys.push({ kid: `key ${newKeyActivateTime}`, activateTime: newKeyActivateTime });
    keys = keys.filter(({ kid }) => !expiredKids.includes(kid));
    check(keys, now);
  }
}

test("there is always a key that signs, and it changes with every rotation", () => {
  const signers = new Set<string | undefined>();
  live(60_000, (keys, now) => signers.add(signingKeyAt(keys, now)?.kid));
  assert.ok(!signers.has(undefined));
  assert.equal(signers.size, 4);
});

test("a key is published its lead before it signs, and until its last token has expired", () => {
  const seen = new Map<string, { published: number; signed: number; lastSigned: number; last: number }>();
  live(60_000, (keys, now) => {
    const signer = signingKeyAt(keys, now)?.kid;
    for (const { kid } of keys) {
      const key = seen.get(kid) ?? { published: now, signed: 0, lastSigned: 0, last: 0 };
      key.last = now;
      if (kid === signer) key.lastSigned = now;
      if (kid === signer && key.signed === 0) key.signed = now;
      seen.set(kid, key);
    }
  });
  const [first = assert.fail(), ...later] = seen.values();
  assert.equal(first.signed, START);
  for (const { published, signed } of later) assert.ok(signed - published >= KEY_LEAD_MS);
  for (const { lastSigned, last } of [first, ...later.slice(0, -2)]) {
    assert.ok(last - lastSigned >= SERVICE_TOKEN_TTL_MS + CLOCK_TOLERANCE_MS);
  }
});

test("after a long sleep the next key still gets its lead", () => {
  const keys = [{ kid: "old", activateTime: START }];
  const now = START + 100 * ROTATION_MS;
  assert.deepEqual(keyChanges(keys, ROTATION_MS, now), { newKeyActivateTime: now + KEY_LEAD_MS, expiredKids: [] });
  assert.equal(signingKeyAt(keys, now)?.kid, "old");
});

test("the first key signs for an instance whose clock is behind, too", () => {
  const { newKeyActivateTime = assert.fail() } = keyChanges([], ROTATION_MS, START);
  assert.ok(signingKeyAt([{ kid: "first", activateTime: newKeyActivateTime }], START - CLOCK_TOLERANCE_MS));
});
