/** What every driver of the state must do; `<driver>.test.ts` runs it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@switchboard/testkit/eventually";
import { type DriverSpec, type Exceptions, law } from "@switchboard/testkit/law";
import { pino } from "pino";
import type { HeldLock, RateLimit, State } from "./state.ts";

export interface StateEngine extends AsyncDisposable {
  /** With the credential of a service: "identity", "auth". */
  driver(service: string): DriverSpec;
  /** Breaks every connection; new ones are possible. */
  cutConnections(): Promise<void>;
}

export interface StoppableStateEngine extends StateEngine {
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface StateEngines {
  /** Empty at each call. */
  open(): Promise<StateEngine>;
  openStoppable(): Promise<StoppableStateEngine>;
}

const MINUTE_MS = 60_000;

export function stateLaw(name: string, engines: StateEngines, except: Exceptions = {}): void {
  law(`state law: ${name}`, except, (proves) => {
    proves("a value comes back as it was set, until it is deleted", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      const every = Uint8Array.from({ length: 256 }, (_, index) => index);
      assert.equal(await state.get("k"), undefined);
      await state.set("k", every, MINUTE_MS);
      assert.deepEqual(plain(await state.get("k")), plain(every));
      await state.set("k", new Uint8Array(), MINUTE_MS);
      assert.deepEqual(plain(await state.get("k")), plain(new Uint8Array()));
      await state.delete("k");
      await state.delete("k");
      assert.equal(await state.get("k"), undefined);
      assert.equal(state.problem(), undefined);
    });

    proves("a value is gone after its time, which setting it again renews", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      await state.set("short", text("a"), 300);
      await state.set("renewed", text("a"), 300);
      await state.set("renewed", text("b"), MINUTE_MS);
      await state.set("shortened", text("a"), MINUTE_MS);
      await state.set("shortened", text("b"), 300);
      await eventually(async () => {
        assert.equal(await state.get("short"), undefined);
        assert.equal(await state.get("shortened"), undefined);
      });
      assert.deepEqual(plain(await state.get("renewed")), plain(text("b")));
    });

    proves("keys are bytes: letter case, blanks, form and every character count", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      const keys = [
        "a",
        "A",
        " a",
        "a ",
        "a\0",
        "a\n",
        "%",
        "_",
        "a:b",
        "a::b",
        "*",
        "é",
        "e\u0301",
        "ß",
        "SS",
        "☎",
        "\u{1f600}",
      ];
      for (const key of keys) await state.set(key, text(`value of ${key}`), MINUTE_MS);
      for (const key of keys) assert.deepEqual(plain(await state.get(key)), plain(text(`value of ${key}`)), key);
    });

    proves("a key of 512 bytes and a value of 1 MiB are kept, and nothing larger, nor an empty key", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      const large = new Uint8Array(1_048_576).fill(7);
      const longest = "é".repeat(256);
      await state.set(longest, large, MINUTE_MS);
      assert.ok(Buffer.from((await state.get(longest)) ?? []).equals(large));
      await assert.rejects(state.set("k", new Uint8Array(1_048_577), MINUTE_MS), RangeError);
      for (const key of ["", `${longest}a`, "\ud800"]) {
        await assert.rejects(state.get(key), RangeError);
        await assert.rejects(state.set(key, text("v"), MINUTE_MS), RangeError);
        await assert.rejects(state.delete(key), RangeError);
        await assert.rejects(state.take(key, limit(1, 1, 1)), RangeError);
        await assert.rejects(state.lock(key, MINUTE_MS), RangeError);
      }
      for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await assert.rejects(state.set("k", text("v"), ttlMs), RangeError);
        await assert.rejects(state.lock("k", ttlMs), RangeError);
      }
      assert.equal(await state.get("k"), undefined);
    });

    proves("instances of a service share everything, two services nothing", async () => {
      await using engine = await engines.open();
      await using first = await open(engine, "identity");
      await using second = await open(engine, "identity");
      await using foreign = await open(engine, "auth");
      await first.set("k", text("v"), MINUTE_MS);
      assert.deepEqual(plain(await second.get("k")), plain(text("v")));
      assert.equal(await foreign.get("k"), undefined);
      await foreign.delete("k");
      assert.deepEqual(plain(await second.get("k")), plain(text("v")));

      const once = limit(1, MINUTE_MS, 1);
      assert.equal((await first.take("k", once)).allowed, true);
      assert.equal((await second.take("k", once)).allowed, false);
      assert.equal((await foreign.take("k", once)).allowed, true);

      await using lock = held(await first.lock("k", MINUTE_MS));
      assert.equal(await second.lock("k", MINUTE_MS), undefined);
      await using other = held(await foreign.lock("k", MINUTE_MS));
      assert.ok(lock.fence > 0n && other.fence > 0n);
    });

    proves("only the engine's clock counts", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      await using ahead = await open(engine, "identity", () => performance.now() + MINUTE_MS);
      await ahead.set("k", text("v"), 30_000);
      assert.deepEqual(plain(await state.get("k")), plain(text("v")));
      await state.set("k", text("w"), 30_000);
      assert.deepEqual(plain(await ahead.get("k")), plain(text("w")));
      const once = limit(1, 30_000, 1);
      assert.equal((await state.take("k", once)).allowed, true);
      assert.equal((await ahead.take("k", once)).allowed, false);
      await using lock = held(await state.lock("k", 30_000));
      assert.equal(await ahead.lock("k", 30_000), undefined);
      await using own = held(await ahead.lock("own", 30_000));
      await delay(100);
      assert.deepEqual([lock.signal.aborted, own.signal.aborted], [false, false]);
    });

    proves("a limit allows its burst, refuses, and says for how long", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      const three = limit(60, MINUTE_MS, 3);
      for (const remaining of [2, 1, 0]) {
        const decision = await state.take("k", three);
        assert.deepEqual([decision.allowed, decision.remaining, decision.retryAfterMs], [true, remaining, 0]);
        const [least, most] = [(2 - remaining) * 1_000, (3 - remaining) * 1_000];
        assert.ok(decision.resetAfterMs > least && decision.resetAfterMs <= most, `${decision.resetAfterMs} ms`);
      }
      const refusedAt = performance.now();
      const refused = await state.take("k", three);
      assert.deepEqual([refused.allowed, refused.remaining], [false, 0]);
      assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 1_000, `${refused.retryAfterMs} ms`);
      assert.equal((await state.take("K", three)).allowed, true);
      await delay(refused.retryAfterMs);
      assert.equal((await state.take("k", three)).allowed, true);
      const { allowed } = await state.take("k", three);
      // One comes back each second, also on a machine that is slow.
      if (performance.now() - refusedAt < 1_000 + refused.retryAfterMs) assert.equal(allowed, false);
    });

    proves("a limit that is changed begins anew, and the slowest one is counted", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      const slow = { requests: 1, windowMs: 1_000_000_000, burst: 1_000 };
      assert.equal((await state.take("k", slow, 1_000)).allowed, true);
      assert.equal((await state.take("k", slow)).allowed, false);
      assert.equal((await state.take("k", { requests: 10, windowMs: 1_000, burst: 10 })).allowed, true);
    });

    proves("a cost is taken whole or not at all", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      const five = limit(1, MINUTE_MS, 5);
      assert.equal((await state.take("k", five, 3)).remaining, 2);
      assert.equal((await state.take("k", five, 3)).allowed, false);
      assert.equal((await state.take("k", five, 2)).allowed, true);
      assert.equal((await state.take("k", five)).allowed, false);
      for (const cost of [0, -1, 0.5, 6, Number.NaN]) await assert.rejects(state.take("k", five, cost), RangeError);
      for (const bad of [limit(0, 1, 1), limit(1, 0, 1), limit(1, 1, 0), limit(1, 1, 1.5)]) {
        await assert.rejects(state.take("k", bad), RangeError);
      }
    });

    proves("of calls at once exactly the burst is allowed, over all instances, give or take a lease each", async () => {
      await using engine = await engines.open();
      await using first = await open(engine, "identity");
      await using second = await open(engine, "identity");
      for (const [burst, lease] of [
        [5, 0],
        [40, 4],
      ] as const) {
        const burstLimit = limit(1, 10 * MINUTE_MS, burst);
        const takes = Array.from({ length: 200 }, (_, n) => (n % 2 ? first : second).take(`k${burst}`, burstLimit));
        const allowed = (await Promise.all(takes)).filter((decision) => decision.allowed).length;
        assert.ok(allowed <= burst && allowed >= burst - 2 * lease, `${allowed} of ${burst}`);
        // Leased tokens that nobody used are there again.
        await delay(500);
        let later = 0;
        await eventually(async () => {
          const { allowed: more } = await first.take(`k${burst}`, burstLimit);
          if (more) later++;
          assert.equal(allowed + later, burst);
        });
        assert.equal((await second.take(`k${burst}`, burstLimit)).allowed, false);
      }
    });

    proves("over time two busy instances get the rate, and at most a lease each more", async () => {
      await using engine = await engines.open();
      await using first = await open(engine, "identity");
      await using second = await open(engine, "identity");
      const busy = limit(200, 1_000, 50);
      const lease = 5;
      const startTime = performance.now();
      const use = async (state: State): Promise<number> => {
        let allowed = 0;
        while (performance.now() - startTime < 2_000) {
          if ((await state.take("k", busy)).allowed) allowed++;
          else await delay(1);
        }
        return allowed;
      };
      const allowed = (await Promise.all([use(first), use(second), use(first)])).reduce((sum, count) => sum + count);
      const most = 50 + (200 * (performance.now() - startTime)) / 1_000;
      assert.ok(allowed <= most + 2 * lease, `${allowed} of ${most}`);
      assert.ok(allowed >= most * 0.7, `${allowed} of ${most}`);
    });

    proves("of many who ask for a lock one gets it, and each holder's fence is higher", async () => {
      await using engine = await engines.open();
      await using first = await open(engine, "identity");
      await using second = await open(engine, "identity");
      let last = 0n;
      for (let round = 0; round < 10; round++) {
        const asked = Array.from({ length: 10 }, (_, n) => (n % 2 ? first : second).lock("k", MINUTE_MS));
        const locks = (await Promise.all(asked)).filter((lock) => lock !== undefined);
        assert.equal(locks.length, 1);
        const [lock] = locks;
        assert.ok(lock && lock.fence > last, `${lock?.fence} after ${last}`);
        last = lock.fence;
        await lock[Symbol.asyncDispose]();
        await lock[Symbol.asyncDispose]();
        assert.equal(lock.signal.aborted, false);
      }
    });

    proves("a lock is renewed for as long as it is held", async () => {
      await using engine = await engines.open();
      await using first = await open(engine, "identity");
      await using second = await open(engine, "identity");
      const lock = held(await first.lock("k", 600));
      for (const endTime = performance.now() + 2_000; performance.now() < endTime; await delay(50)) {
        assert.equal(await second.lock("k", 600), undefined);
      }
      assert.equal(lock.signal.aborted, false);
      await lock[Symbol.asyncDispose]();
      await using next = held(await second.lock("k", 600));
      assert.ok(next.fence > lock.fence);
    });

    proves("closing the state gives its locks to others", async () => {
      await using engine = await engines.open();
      await using second = await open(engine, "identity");
      const first = await open(engine, "identity");
      held(await first.lock("k", MINUTE_MS));
      await first[Symbol.asyncDispose]();
      await using lock = held(await second.lock("k", MINUTE_MS));
      assert.ok(lock.fence > 0n);
    });

    proves("the lock of a killed process is free after its time, and not before", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      const ttlMs = 1_500;
      const fence = await lockAndKill(engine, "k", ttlMs);
      const killTime = performance.now();
      assert.equal(await state.lock("k", ttlMs), undefined);
      await using lock = await eventually(async () => held(await state.lock("k", ttlMs)), { withinMs: ttlMs + 1_000 });
      assert.ok(performance.now() - killTime > ttlMs / 2);
      assert.ok(lock.fence > fence);
    });

    proves("broken connections lose nothing that is shared, and mend by themselves", async () => {
      await using engine = await engines.open();
      await using state = await open(engine, "identity");
      const once = limit(1, MINUTE_MS, 1);
      await state.set("k", text("v"), MINUTE_MS);
      await state.take("k", once);
      await using lock = held(await state.lock("k", 3_000));
      await engine.cutConnections();
      await eventually(async () => assert.deepEqual(plain(await state.get("k")), plain(text("v"))), {
        withinMs: 2_000,
      });
      await eventually(async () => assert.equal((await state.take("k", once)).allowed, false), { withinMs: 2_000 });
      await delay(1_500);
      assert.equal(lock.signal.aborted, false);
      await eventually(() => assert.equal(state.problem(), undefined));
    });

    proves(
      "without the engine there is no value, no lock, no error but for limits, and a lock that was held is lost",
      async () => {
        await using engine = await engines.openStoppable();
        await using state = await open(engine, "identity");
        await state.set("k", text("v"), MINUTE_MS);
        const lock = held(await state.lock("k", 1_500));
        await engine.stop();
        const stopTime = performance.now();
        assert.equal(await state.get("k"), undefined);
        await state.set("k", text("w"), MINUTE_MS);
        await state.delete("k");
        assert.equal(await state.lock("other", MINUTE_MS), undefined);
        await assert.rejects(state.take("k", limit(1, 1, 1)), { name: "AppError", reason: "SERVICE_UNAVAILABLE" });
        assert.ok(performance.now() - stopTime < 1_000, "calls waited for an engine that is away");
        assert.match(state.problem() ?? "", /state/);
        await eventually(() => assert.equal(lock.signal.aborted, true), { withinMs: 2_500 });

        await engine.start();
        await eventually(() => assert.equal(state.problem(), undefined), { withinMs: 3_000 });
        await state.set("again", text("v"), MINUTE_MS);
        assert.deepEqual(plain(await state.get("again")), plain(text("v")));
        assert.equal((await state.take("again", limit(1, 1, 1))).allowed, true);
        await using next = await eventually(async () => held(await state.lock("k", 1_500)));
        assert.ok(next.fence > lock.fence);
        await lock[Symbol.asyncDispose]();
        assert.equal(await state.lock("k", 1_500), undefined);
      },
    );
  });
}

async function open(engine: StateEngine, service: string, now?: () => number): Promise<State> {
  const driver = engine.driver(service);
  const module = await import(driver.module);
  return module[driver.open]({ ...driver.options, log: pino({ level: "silent" }), ...(now && { now }) });
}

/** Takes a lock in a process of its own, which is killed then. Resolves with the lock's fence. */
async function lockAndKill(engine: StateEngine, key: string, ttlMs: number): Promise<bigint> {
  const program = join(import.meta.dirname, "lock-holder.fake.ts");
  const driver = JSON.stringify(engine.driver("identity"));
  const child = spawn(process.execPath, [program, driver, key, String(ttlMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const [said] = await Promise.race([once(child.stdout, "data"), exited]);
  child.kill("SIGKILL");
  await exited;
  return BigInt(String(said).trim());
}

function held(lock: HeldLock | undefined): HeldLock {
  assert.ok(lock, "somebody else holds the lock");
  return lock;
}

function limit(requests: number, windowMs: number, burst: number): RateLimit {
  return { requests, windowMs, burst };
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

/** Comparable, whichever kind of byte array a driver gives. */
function plain(value: Uint8Array | undefined): number[] | undefined {
  return value && [...value];
}
