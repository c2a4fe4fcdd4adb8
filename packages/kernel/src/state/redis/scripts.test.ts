import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { findRedis } from "@switchboard/engines/redis-program";
import { pino } from "pino";
import { engineKey } from "../rate-limiter.ts";
import { openRedisState } from "../redis.ts";
import { openRedisEngine, type RedisEngine } from "../redis-engine.fake.ts";
import { RedisKeys } from "./keys.ts";
import { take } from "./scripts.ts";

const home = engineHome(process.env);
const skip = skipWithout("Redis", (await findRedis(home)) !== undefined, process.env);
const log = pino({ level: "silent" });
const MINUTE_MS = 60_000;
/** Ten a second, and where Redis keeps what was taken of it. */
const TEN = { requests: 10, windowMs: 1_000, burst: 10 };
const LIMIT = new RedisKeys("identity").limit(engineKey("k", TEN));

function open(engine: RedisEngine) {
  return openRedisState({ url: engine.url("identity"), service: "identity", log });
}

/** In microseconds, as Redis has it. */
async function timeOf(engine: RedisEngine): Promise<number> {
  const [seconds, micros] = await engine.admin.time();
  return Number(seconds) * 1e6 + Number(micros);
}

describe("what is decided inside Redis", { skip }, () => {
  test("a token's share of a microsecond is not rounded away", async () => {
    await using engine = await openRedisEngine({ home });
    // 30,000 a second: 33⅓ µs each. Against a debt that does not fall, since a second of Redis's is more than all of this.
    let debt = 0;
    const start = await timeOf(engine);
    for (let n = 0; n < 3_000; n++) {
      const [answer] = (await take.run(engine.admin, [LIMIT], 1e6 / 30_000, 1_000_000, 0, 10)) as [string];
      debt = Number(answer);
    }
    const passed = (await timeOf(engine)) - start;
    assert.ok(debt <= 1_000_000 && debt >= 1_000_000 - passed, `${debt} µs after ${passed} µs`);
    const kept = String(await engine.admin.get(LIMIT));
    assert.match(kept, /^\d{16} \d+(\.\d+)?$/);
  });

  test("the clock is put back by an hour: nobody is refused for an hour", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine);
    const ahead = (await timeOf(engine)) + 3_600e6;
    // What was kept when the clock was ahead: the burst is used up.
    await engine.admin.set(LIMIT, `${ahead.toFixed(0)} 1000000`);
    const refused = await state.take("k", TEN);
    assert.equal(refused.allowed, false);
    assert.ok(refused.retryAfterMs <= 100, `${refused.retryAfterMs} ms`);
    const [time] = String(await engine.admin.get(LIMIT)).split(" ");
    assert.ok(Number(time) < ahead);
    assert.ok((await engine.admin.pttl(LIMIT)) <= 1_000);
  });

  test("a limit is forgotten when its burst is there again", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine);
    await state.take("k", TEN, 3);
    const ttl = await engine.admin.pttl(LIMIT);
    assert.ok(ttl > 200 && ttl <= 300, `${ttl} ms`);
    // The slowest limit that the port takes fits too.
    const slow = { requests: 1, windowMs: 1_000_000_000, burst: 1_000_000_000 };
    assert.equal((await state.take("slow", slow, 1_000_000_000)).allowed, true);
    assert.equal((await state.take("slow", slow)).allowed, false);
  });

  test("a fence is no less than the time, and more than the last one even where the clock is behind", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine);
    const before = await timeOf(engine);
    const first = await state.lock("k", MINUTE_MS);
    assert.ok(first && first.fence >= BigInt(before));
    await first[Symbol.asyncDispose]();
    const [, counter] = new RedisKeys("identity").lock("k");
    assert.equal(await engine.admin.get(counter), String(first.fence));
    assert.equal(await engine.admin.ttl(counter), -1);
    const ahead = BigInt(before) + 3_600_000_000n;
    await engine.admin.set(counter, String(ahead));
    await using second = await state.lock("k", MINUTE_MS);
    assert.equal(second?.fence, ahead + 1n);
  });

  test("a late holder neither renews nor releases the lock of the next", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine);
    const late = await state.lock("k", MINUTE_MS);
    assert.ok(late);
    const [name] = new RedisKeys("identity").lock("k");
    await engine.admin.del(name);
    await using next = await state.lock("k", MINUTE_MS);
    assert.ok(next);
    await late[Symbol.asyncDispose]();
    assert.equal(await engine.admin.get(name), String(next.fence));
  });

  test("many locks share few counters", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = open(engine);
    await Promise.all(
      Array.from({ length: 2_000 }, async (_, n) => {
        await using lock = await state.lock(`lock ${n}`, MINUTE_MS);
        assert.ok(lock);
      }),
    );
    const names = await engine.admin.keys("*");
    assert.ok(names.length <= 256, `${names.length} keys`);
  });
});
