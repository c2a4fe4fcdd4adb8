import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "@switchboard/contract/app-error";
import { pino } from "pino";
import { openServiceToken } from "./service-token.ts";

const log = pino({ level: "silent" });
const HOUR = 3_600_000;
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test("a token is renewed from a quarter of its life on; Auth may be away for the rest", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  let issued = 0;
  let away = false;
  await using token = openServiceToken({
    issue: async () => {
      if (away) throw new Error("Auth is away");
      issued += 1;
      return { token: `token-${issued}`, expireTimeMs: Date.now() + HOUR };
    },
    now: Date.now,
    log,
  });
  assert.equal(await token.get(), "token-1");
  t.mock.timers.tick(HOUR / 4 - 1);
  assert.equal(await token.get(), "token-1");
  t.mock.timers.tick(1);
  await settle();
  assert.equal(await token.get(), "token-2");

  away = true;
  for (let minute = 1; minute < 60; minute++) {
    t.mock.timers.tick(60_000);
    await settle();
  }
  assert.equal(await token.get(), "token-2", "59 minutes old");
  assert.equal(token.problem(), undefined);

  t.mock.timers.tick(60_000);
  await settle();
  assert.match(token.problem() ?? "", /token/);
  const refused = assert.rejects(
    token.get(),
    (error) => error instanceof AppError && error.reason === "AUTH_UNAVAILABLE",
  );
  t.mock.timers.tick(5_000);
  await refused;

  away = false;
  t.mock.timers.tick(15_000);
  await settle();
  assert.equal(await token.get(), "token-3");
});

test("calls that come before the first token wait for it, and ask but once", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const answer = Promise.withResolvers<{ token: string; expireTimeMs: number }>();
  let asked = 0;
  await using token = openServiceToken({
    issue: () => {
      asked += 1;
      return answer.promise;
    },
    now: Date.now,
    log,
  });
  const all = Promise.all([token.get(), token.get(), token.get()]);
  answer.resolve({ token: "first", expireTimeMs: Date.now() + HOUR });
  assert.deepEqual(await all, ["first", "first", "first"]);
  assert.equal(asked, 1);
});
