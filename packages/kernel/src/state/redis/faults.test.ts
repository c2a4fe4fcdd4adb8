import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { findRedis } from "@switchboard/engines/redis-program";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import { engineKey } from "../rate-limiter.ts";
import { openRedisState } from "../redis.ts";
import { openRedisEngine, password, type RedisEngine } from "../redis-engine.fake.ts";
import type { State } from "../state.ts";
import { RedisKeys } from "./keys.ts";

const home = engineHome(process.env);
const skip = skipWithout("Redis", (await findRedis(home)) !== undefined, process.env);
const log = pino({ level: "silent" });
const MINUTE_MS = 60_000;
const PLENTY = { requests: 1_000_000, windowMs: 1_000, burst: 1_000_000 };
const HUNDRED = { requests: 1, windowMs: 60 * MINUTE_MS, burst: 100 };

function open(engine: RedisEngine, service = "identity", url = engine.url(service)): State {
  return openRedisState({ url, service, log });
}

/** Everything a process asks for, over and over until it is told to stop. The answer is what went wrong, and how late. */
function load(state: State) {
  const stopped = new AbortController();
  const failures = new Set<string>();
  let longestMs = 0;
  let taken = 0;
  const repeat = async (work: () => Promise<unknown>) => {
    while (!stopped.signal.aborted) {
      const begin = performance.now();
      await work().catch((error) => failures.add(`${error.name} ${error.reason ?? error.message}`));
      longestMs = Math.max(longestMs, performance.now() - begin);
      await delay(1);
    }
  };
  const value = new Uint8Array(1_000);
  const running = Promise.all(
    Array.from({ length: 4 }, (_, n) => [
      repeat(() => state.set(`value ${n}`, value, MINUTE_MS)),
      repeat(() => state.get(`value ${n}`)),
      repeat(async () => {
        if ((await state.take(`limit ${n}`, PLENTY)).allowed) taken++;
      }),
      repeat(async () => {
        await using _lock = await state.lock(`lock ${n}`, MINUTE_MS);
      }),
    ]).flat(),
  );
  return {
    taken: () => taken,
    async stop() {
      stopped.abort();
      await running;
      return { failures: [...failures], longestMs };
    },
  };
}

describe("Redis's own ways to fail", { skip }, () => {
  test("killed in the middle of load: calls fail as the port says, and work within 300 ms of its return", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine);
    const work = load(state);
    await eventually(() => assert.ok(work.taken() > 100));
    await engine.kill();
    await eventually(() => assert.match(state.problem() ?? "", /state \(Redis\) cannot be reached/));
    await assert.rejects(state.take("k", PLENTY), { reason: "SERVICE_UNAVAILABLE" });
    await engine.start();
    const before = work.taken();
    await eventually(() => assert.ok(work.taken() > before), { withinMs: 300 });
    assert.equal(state.problem(), undefined);
    const { failures, longestMs } = await work.stop();
    assert.deepEqual(failures, ["AppError SERVICE_UNAVAILABLE"]);
    assert.ok(longestMs < 1_500, `${longestMs} ms`);
  });

  test("a peer that falls silent is given up after a second; from then on nothing waits", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine, "identity", engine.proxyUrl("identity"));
    await state.set("k", Buffer.from("v"), MINUTE_MS);
    engine.proxy.freeze();
    const begin = performance.now();
    const [value, lock, taken] = await Promise.allSettled([
      state.get("k"),
      state.lock("k", MINUTE_MS),
      state.take("k", PLENTY),
    ]);
    const waitedMs = performance.now() - begin;
    assert.ok(waitedMs > 500 && waitedMs < 1_500, `${waitedMs} ms`);
    assert.deepEqual([value, lock], Array(2).fill({ status: "fulfilled", value: undefined }));
    assert.equal(taken.status === "rejected" && taken.reason.reason, "SERVICE_UNAVAILABLE");
    await eventually(() => assert.match(state.problem() ?? "", /cannot be reached/));
    const next = performance.now();
    for (let n = 0; n < 100; n++) assert.equal(await state.get("k"), undefined);
    assert.ok(performance.now() - next < 200, `${performance.now() - next} ms`);

    engine.proxy.thaw();
    await eventually(async () => assert.equal(String(await state.get("k")), "v"), { withinMs: 2_500 });
    assert.equal(state.problem(), undefined);
  });

  test("what a silent peer owes is bounded: calls beyond fail at once", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine, "identity", engine.proxyUrl("identity"));
    await state.get("k");
    engine.proxy.freeze();
    const owed = Array.from({ length: 10_000 }, () => state.get("k"));
    const begin = performance.now();
    assert.equal(await state.get("k"), undefined);
    assert.ok(performance.now() - begin < 500, `${performance.now() - begin} ms`);
    await Promise.all(owed);
    engine.proxy.thaw();
    await eventually(async () => assert.equal((await state.take("k", PLENTY)).allowed, true));
  });

  test("a process whose Redis is silent from the start waits once, and ends at once", async () => {
    await using engine = await openRedisEngine({ home });
    engine.proxy.freeze();
    const state = open(engine, "identity", engine.proxyUrl("identity"));
    const begin = performance.now();
    assert.equal(await state.get("k"), undefined);
    assert.ok(performance.now() - begin < 1_500);
    assert.match(state.problem() ?? "", /cannot be reached/);
    const end = performance.now();
    await state[Symbol.asyncDispose]();
    assert.ok(performance.now() - end < 700, `${performance.now() - end} ms`);
    await assert.rejects(state.take("k", PLENTY), { reason: "SERVICE_UNAVAILABLE" });
  });

  test("two instances on one limit get exactly its burst between them, leases included", async () => {
    await using engine = await openRedisEngine({ home });
    await using first = open(engine);
    await using second = open(engine);
    let allowed = 0;
    const use = async (state: State) => {
      // Long enough for tokens that one of them leased and did not use to come back to the other.
      for (const end = performance.now() + 1_500; performance.now() < end; await delay(1)) {
        if ((await state.take("k", HUNDRED)).allowed) allowed++;
      }
    };
    await Promise.all([use(first), use(second), use(first), use(second)]);
    assert.equal(allowed, 100);
  });

  test("scripts that Redis forgot are sent again", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine);
    const work = load(state);
    for (let round = 0; round < 20; round++) {
      const before = work.taken();
      await engine.admin.script("FLUSH");
      await eventually(() => assert.ok(work.taken() > before));
    }
    assert.deepEqual((await work.stop()).failures, []);
  });

  test("everything is flushed: a limit begins anew, a lock is lost and said to be, and fences go on", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine);
    const once = { requests: 1, windowMs: MINUTE_MS, burst: 1 };
    assert.equal((await state.take("k", once)).allowed, true);
    await state.set("k", Buffer.from("v"), MINUTE_MS);
    const lost = await state.lock("k", 600);
    assert.ok(lost);
    await engine.admin.flushall();
    await using next = await state.lock("k", MINUTE_MS);
    assert.ok(next && next.fence > lost.fence, `${next?.fence} after ${lost.fence}`);
    await eventually(() => assert.equal(lost.signal.aborted, true), { withinMs: 1_000 });
    await lost[Symbol.asyncDispose]();
    assert.equal(next.signal.aborted, false);
    assert.equal(await state.lock("k", MINUTE_MS), undefined);
    assert.equal(await state.get("k"), undefined);
    await using other = open(engine);
    assert.equal((await other.take("k", once)).allowed, true);
  });

  test("a full memory keeps no value and counts no limit, and is said to be full until there is room", async () => {
    await using engine = await openRedisEngine({ home, args: ["--maxmemory-policy", "noeviction"] });
    await using state = open(engine);
    await state.set("k", Buffer.from("v"), MINUTE_MS);
    await engine.admin.config("SET", "maxmemory", "1");
    await state.set("k", Buffer.from("w"), MINUTE_MS);
    await assert.rejects(state.take("k", HUNDRED), { reason: "SERVICE_UNAVAILABLE" });
    assert.equal(await state.lock("k", MINUTE_MS), undefined);
    assert.match(state.problem() ?? "", /out of memory/);
    assert.equal(String(await state.get("k")), "v");
    await engine.admin.config("SET", "maxmemory", "0");
    assert.equal((await state.take("k", HUNDRED)).allowed, true);
    await eventually(() => assert.equal(state.problem(), undefined));
  });

  test("a memory that evicts loses values, and nothing else is noticed", async () => {
    await using engine = await openRedisEngine({ home, args: ["--maxmemory-policy", "allkeys-lru"] });
    await using state = open(engine);
    await engine.admin.config("SET", "maxmemory", "6mb");
    const value = new Uint8Array(100_000);
    for (let n = 0; n < 100; n++) await state.set(`k${n}`, value, MINUTE_MS);
    const lengths = await Promise.all(Array.from({ length: 100 }, async (_, n) => (await state.get(`k${n}`))?.length));
    const kept = lengths.filter((length) => length === value.length).length;
    assert.equal(lengths.filter((length) => length === undefined).length, 100 - kept);
    assert.ok(kept > 10 && kept < 60, `${kept} kept`);
    assert.equal((await state.take("k", HUNDRED)).allowed, true);
    assert.equal(state.problem(), undefined);
  });

  test("nothing that Redis answers shows a password, a key or a value in an error or a log", async () => {
    await using engine = await openRedisEngine({ home });
    const lines: string[] = [];
    const heard = pino({ level: "trace" }, { write: (line: string) => void lines.push(line) });
    const url = engine.url("identity").replace(password("identity"), "a-wrong-secret");
    await using stranger = openRedisState({ url, service: "identity", log: heard });
    const failure = await stranger.take("a-key", HUNDRED).catch((error) => error);
    assert.equal(failure.reason, "SERVICE_UNAVAILABLE");
    heard.error({ err: failure }, "told");
    assert.match(stranger.problem() ?? "", /does not know the user of this process: provision it/);
    assert.ok(lines.length >= 2);
    assert.doesNotMatch(lines.join(), /a-wrong-secret|a-key/);

    // Something of another kind at the place of a limit: a fault, not an outage.
    await using state = openRedisState({ url: engine.url("identity"), service: "identity", log: heard });
    const key = new RedisKeys("identity").limit(engineKey("a-key", HUNDRED));
    await engine.admin.hset(key, "field", "a-value");
    const fault = await state.take("a-key", HUNDRED).catch((error) => error);
    assert.match(fault.message, /Redis refuses the command: WRONGTYPE/);
    heard.error({ err: fault }, "told");
    assert.doesNotMatch(lines.join(), /a-key|a-value/);
    assert.equal(state.problem(), undefined);
  });
});
