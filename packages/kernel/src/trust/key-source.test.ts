import assert from "node:assert/strict";
import { test } from "node:test";
import { testTokens } from "@switchboard/testkit/tokens";
import { pino } from "pino";
import { openKeySource, type PublicJwk } from "./key-source.ts";

const log = pino({ level: "silent" });

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test("keys are loaded, kept while Auth is away, and read again for a kid that is new", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const [one, two] = [(await testTokens()).keys[0], (await testTokens()).keys[0]];
  assert.ok(one && two);
  let served: readonly PublicJwk[] | Error = new Error("Auth is not there yet");
  let reads = 0;
  await using keys = openKeySource({
    fetch: async () => {
      reads += 1;
      if (served instanceof Error) throw served;
      return served;
    },
    now: Date.now,
    log,
  });
  await settle();
  assert.equal(keys.loaded(), false);
  assert.match(keys.problem() ?? "", /keys/);

  served = [one, { ...one, kid: "rsa", kty: "RSA" }];
  t.mock.timers.tick(250);
  for (let n = 0; n < 50 && !keys.loaded(); n++) await settle();
  assert.equal(keys.problem(), undefined);
  assert.ok(await keys.find(one.kid));
  assert.equal(await keys.find("rsa"), undefined, "another algorithm's key verifies nothing");

  // Rotated: the new kid is asked for by many calls at once, and made-up kids cause no flood.
  served = [one, two];
  t.mock.timers.tick(5_000);
  const before = reads;
  const found = await Promise.all(Array.from({ length: 20 }, () => keys.find(two.kid)));
  assert.ok(found.every(Boolean));
  for (let n = 0; n < 20; n++) await keys.find(`made-up-${n}`);
  assert.equal(reads, before + 1);

  served = new Error("Auth is away");
  t.mock.timers.tick(300_000);
  await settle();
  assert.ok(await keys.find(one.kid), "the last known keys stay");
  assert.equal(keys.problem(), undefined);
});
