import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { RateLimiter, type TokenEngine } from "./rate-limiter.ts";
import type { RateLimit } from "./state.ts";

interface Asked {
  readonly costs: readonly number[];
  readonly spare: number;
}

/** GCRA in memory with a clock that only moves when it is told to. */
function setUp(t: TestContext) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const asked: Asked[] = [];
  const givenBack: number[] = [];
  let time = 1_000;
  let fullTime = 0;
  let failure: Error | undefined;
  const engine: TokenEngine = {
    async take(_key, tokenMs, burst, costs, spare) {
      asked.push({ costs, spare });
      await turn();
      if (failure) throw failure;
      let debtMs = Math.max(fullTime - time, 0);
      const fits = (tokens: number) => debtMs + tokens * tokenMs <= burst * tokenMs;
      const granted = costs.map((cost) => {
        const fitting = fits(cost);
        if (fitting) debtMs += cost * tokenMs;
        return fitting;
      });
      const taken = fits(4 * spare) ? spare : 0;
      debtMs += taken * tokenMs;
      fullTime = time + debtMs;
      return { granted, spare: taken, debtMs };
    },
    async giveBack(_key, tokenMs, tokens) {
      givenBack.push(tokens);
      fullTime -= tokens * tokenMs;
    },
  };
  return {
    limiter: new RateLimiter({ engine, now: () => time }),
    asked,
    givenBack,
    fail(error: Error | undefined) {
      failure = error;
    },
    pass(ms: number) {
      time += ms;
      t.mock.timers.tick(ms);
    },
  };
}

const HUNDRED: RateLimit = { requests: 100, windowMs: 100_000, burst: 100 };
const ONE: RateLimit = { requests: 1, windowMs: 60_000, burst: 1 };

test("a key that is not hot costs a round trip each and leases nothing", async (t) => {
  const { limiter, asked, pass } = setUp(t);
  for (let n = 0; n < 3; n++) {
    assert.equal((await limiter.take("k", HUNDRED, 1)).allowed, true);
    pass(200);
  }
  assert.deepEqual(asked, Array(3).fill({ costs: [1], spare: 0 }));
});

test("a hot key is served from its lease", async (t) => {
  const { limiter, asked } = setUp(t);
  const remaining: number[] = [];
  for (let n = 0; n < 13; n++) remaining.push((await limiter.take("k", HUNDRED, 1)).remaining);
  assert.deepEqual(asked, [
    { costs: [1], spare: 0 },
    { costs: [1], spare: 10 },
    { costs: [1], spare: 10 },
  ]);
  assert.deepEqual(
    remaining,
    Array.from({ length: 13 }, (_, n) => 99 - n),
  );
});

test("leased tokens that are not used go back in time, and are not used after it", async (t) => {
  const { limiter, asked, givenBack, pass } = setUp(t);
  for (let n = 0; n < 4; n++) await limiter.take("k", HUNDRED, 1);
  assert.equal(asked.length, 2);
  pass(200);
  assert.deepEqual(givenBack, [8]);
  assert.equal((await limiter.take("k", HUNDRED, 1)).remaining, 95);
  assert.equal(asked.length, 3);
});

test("closing gives back what is leased", async (t) => {
  const { limiter, givenBack } = setUp(t);
  for (let n = 0; n < 4; n++) await limiter.take("k", HUNDRED, 1);
  await limiter[Symbol.asyncDispose]();
  assert.deepEqual(givenBack, [8]);
});

test("a refusal is given again without asking, with the time that is left, and asked anew after a second", async (t) => {
  const { limiter, asked, pass } = setUp(t);
  await limiter.take("k", ONE, 1);
  assert.equal((await limiter.take("k", ONE, 1)).retryAfterMs, 60_000);
  for (const retryAfterMs of [59_600, 59_200]) {
    pass(400);
    const { allowed, retryAfterMs: told, resetAfterMs } = await limiter.take("k", ONE, 1);
    assert.deepEqual([allowed, told, resetAfterMs], [false, retryAfterMs, retryAfterMs]);
  }
  assert.equal(asked.length, 2);
  pass(400);
  await limiter.take("k", ONE, 1);
  assert.equal(asked.length, 3);
  pass(60_000);
  assert.equal((await limiter.take("k", ONE, 1)).allowed, true);
});

test("a refused cost refuses larger ones, not smaller ones", async (t) => {
  const { limiter, asked } = setUp(t);
  const five: RateLimit = { ...ONE, burst: 5 };
  await limiter.take("k", five, 3);
  assert.equal((await limiter.take("k", five, 3)).allowed, false);
  assert.equal((await limiter.take("k", five, 4)).allowed, false);
  assert.equal(asked.length, 2);
  assert.equal((await limiter.take("k", five, 2)).allowed, true);
});

test("calls that come while one is under way share the next round trip", async (t) => {
  const { limiter, asked } = setUp(t);
  const five: RateLimit = { ...ONE, burst: 5 };
  const decisions = await Promise.all([1, 2, 3, 1, 1].map((cost) => limiter.take("k", five, cost)));
  assert.deepEqual(
    decisions.map(({ allowed }) => allowed),
    [true, true, false, true, true],
  );
  assert.deepEqual(
    asked.map(({ costs }) => costs),
    [[1], [2, 3, 1, 1]],
  );
});

test("keys, and limits of one key, are apart", async (t) => {
  const { limiter, asked } = setUp(t);
  await Promise.all([limiter.take("k", ONE, 1), limiter.take("K", ONE, 1), limiter.take("k", HUNDRED, 1)]);
  assert.equal(asked.length, 3);
});

test("an engine that fails fails the calls it was asked for, and is asked again by the next", async (t) => {
  const { limiter, fail } = setUp(t);
  fail(new Error("away"));
  const results = await Promise.allSettled([1, 1, 1].map((cost) => limiter.take("k", HUNDRED, cost)));
  assert.deepEqual(
    results.map(({ status }) => status),
    Array(3).fill("rejected"),
  );
  fail(undefined);
  assert.equal((await limiter.take("k", HUNDRED, 1)).allowed, true);
});
