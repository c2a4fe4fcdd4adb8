import assert from "node:assert/strict";
import { test } from "node:test";
import type { Instance } from "../registry/registry.ts";
import { type BalancerOptions, createBalancer, type Outcome } from "./balancer.ts";

const ejection = { consecutiveFailures: 3, baseEjectionTimeMs: 1_000, maxEjectionTimeMs: 4_000, maxEjectedShare: 0.5 };

function setUp(ids: readonly string[], options: Partial<BalancerOptions> = {}) {
  const clock = { ms: 1_000_000 };
  let seed = 1;
  // A fixed sequence of numbers that look random.
  const random = () => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const balancer = createBalancer({ now: () => clock.ms, random, ejection, ...options });
  balancer.update(ids.map((id) => instance(id)));
  const call = (outcome: Outcome, options?: Parameters<typeof balancer.pick>[0], takesMs = 1) => {
    const pick = balancer.pick(options);
    clock.ms += takesMs;
    pick?.done(outcome);
    return pick?.instance.instanceId;
  };
  const failUntilEjected = (id: string) => {
    const others = new Set(ids.filter((other) => other !== id));
    for (let i = 0; i < 3; i += 1) call("failure", { exclude: others });
  };
  const problems = () =>
    balancer.endpoints().flatMap((endpoint) => (endpoint.available ? [] : [endpoint.instance.instanceId]));
  return { balancer, clock, call, failUntilEjected, problems };
}

function instance(instanceId: string, rpcServices: readonly string[] = ["a.v1.A"]): Instance {
  return {
    service: "a",
    instanceId,
    address: "127.0.0.1:1",
    version: "1",
    contractHash: "",
    rpcServices,
    metadata: {},
    registerTime: 0,
  };
}

function count(ids: readonly (string | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const id of ids) counts[id ?? "none"] = (counts[id ?? "none"] ?? 0) + 1;
  return counts;
}

test("no instances: nothing to pick", () => {
  const { balancer } = setUp([]);
  assert.equal(balancer.pick(), undefined);
  assert.deepEqual(balancer.endpoints(), []);
});

test("calls one after another reach every instance", () => {
  const { call } = setUp(["one", "two", "three"]);
  const counts = count(Array.from({ length: 300 }, () => call("success")));
  for (const id of ["one", "two", "three"]) assert.ok((counts[id] ?? 0) > 50, JSON.stringify(counts));
});

test("of two, the one with fewer calls in flight is chosen", () => {
  const { balancer } = setUp(["one", "two"]);
  const picks = Array.from({ length: 10 }, () => balancer.pick()?.instance.instanceId);
  assert.deepEqual(count(picks), { one: 5, two: 5 });
  assert.deepEqual(
    balancer.endpoints().map((endpoint) => endpoint.inFlight),
    [5, 5],
  );
});

test("a slow instance gets little, and is tried again when its slowness is long ago", () => {
  const { call, clock } = setUp(["slow", "fast"]);
  for (let i = 0; i < 3; i += 1) call("success", { exclude: new Set(["fast"]) }, 400);
  assert.deepEqual(count(Array.from({ length: 20 }, () => call("success"))), { fast: 20 });
  clock.ms += 120_000;
  assert.ok((count(Array.from({ length: 20 }, () => call("success"))).slow ?? 0) > 0);
});

test("a long stream does not make an instance slow", () => {
  const { call } = setUp(["streams", "other"]);
  call("success", { exclude: new Set(["other"]), stream: true }, 3_600_000);
  assert.ok((count(Array.from({ length: 20 }, () => call("success"))).streams ?? 0) > 3);
});

test("excluded instances and those without the service are not chosen", () => {
  const { balancer, call } = setUp(["one", "two"]);
  assert.deepEqual(count(Array.from({ length: 10 }, () => call("success", { exclude: new Set(["one"]) }))), {
    two: 10,
  });
  assert.equal(balancer.pick({ exclude: new Set(["one", "two"]) }), undefined);
  balancer.update([instance("old"), instance("new", ["a.v1.A", "a.v2.A"])]);
  assert.equal(call("success", { methodServed: "a.v2.A" }), "new");
  assert.equal(balancer.pick({ methodServed: "a.v3.A" }), undefined);
});

test("failures in a row eject an instance; a success between them does not let them add up", () => {
  const { call, problems, balancer } = setUp(["bad", "good"]);
  const bad = { exclude: new Set(["good"]) };
  for (const outcome of ["failure", "failure", "success", "failure", "neutral", "failure"] as const) call(outcome, bad);
  assert.deepEqual(problems(), []);
  call("failure", bad);
  assert.deepEqual(problems(), ["bad"]);
  assert.match(balancer.endpoints()[0]?.problem ?? "", /3 failures in a row/);
  assert.deepEqual(count(Array.from({ length: 20 }, () => call("success"))), { good: 20 });
});

test("an ejected instance returns with one call at a time, and stays away longer each time it fails", () => {
  const { balancer, call, clock, failUntilEjected, problems } = setUp(["bad", "good"]);
  const onlyBad = { exclude: new Set(["good"]) };
  failUntilEjected("bad");
  clock.ms += 1_000;
  assert.deepEqual(problems(), [], "half-open");
  const probe = balancer.pick(onlyBad);
  assert.deepEqual(problems(), ["bad"], "one call tries it, the others keep away");
  probe?.done("failure");
  clock.ms += 1_000;
  assert.deepEqual(problems(), ["bad"], "twice as long");
  clock.ms += 1_000;
  assert.deepEqual(problems(), []);
  call("success", onlyBad);
  const first = balancer.pick(onlyBad);
  const second = balancer.pick(onlyBad);
  assert.deepEqual(problems(), [], "back for good");
  first?.done("neutral");
  second?.done("neutral");
});

test("streams that are open on an ejected instance do not keep it away, and a stream may bring it back", () => {
  const { balancer, clock, failUntilEjected, problems } = setUp(["bad", "good"]);
  const onlyBad = { exclude: new Set(["good"]), stream: true };
  const open = balancer.pick(onlyBad);
  failUntilEjected("bad");
  clock.ms += 1_000;
  assert.deepEqual(problems(), []);
  const trial = balancer.pick(onlyBad);
  assert.deepEqual(problems(), ["bad"]);
  trial?.answered();
  assert.deepEqual(problems(), []);
  assert.equal(balancer.endpoints()[0]?.breaker, "closed");
  for (const pick of [open, trial]) pick?.done("neutral");
  assert.equal(balancer.endpoints()[0]?.inFlight, 0);
});

test("the time of an ejection is bounded, and forgotten after a good while", () => {
  const { call, clock, failUntilEjected, problems } = setUp(["bad", "good"]);
  failUntilEjected("bad");
  for (let i = 0; i < 10; i += 1) {
    clock.ms += 4_000;
    call("failure", { exclude: new Set(["good"]) });
  }
  clock.ms += 4_000;
  assert.deepEqual(problems(), []);
  call("success", { exclude: new Set(["good"]) });
  clock.ms += 4_001;
  failUntilEjected("bad");
  clock.ms += 1_000;
  assert.deepEqual(problems(), [], "as long as a first one");
});

test("at most the given share is ejected; a single instance may be, and is still tried", () => {
  const four = setUp(["a", "b", "c", "d"]);
  for (const id of ["a", "b", "c", "d"]) four.failUntilEjected(id);
  assert.deepEqual(four.problems(), ["a", "b"]);

  const one = setUp(["only"]);
  one.failUntilEjected("only");
  assert.deepEqual(one.problems(), ["only"]);
  assert.equal(one.call("success"), "only");
  assert.deepEqual(one.problems(), [], "its success brings it back before its time");
});

test("where all that fit are ejected, the one ejected longest ago is tried", () => {
  const { call, failUntilEjected } = setUp(["a", "b"], { ejection: { ...ejection, maxEjectedShare: 1 } });
  failUntilEjected("b");
  failUntilEjected("a");
  assert.equal(call("neutral"), "b");
});

test("an update keeps what is known, forgets who left, and calls of those end without harm", () => {
  const { balancer, failUntilEjected, problems } = setUp(["bad", "good"]);
  failUntilEjected("bad");
  const pick = balancer.pick();
  balancer.update([instance("bad"), instance("new")]);
  assert.deepEqual(problems(), ["bad"]);
  pick?.done("failure");
  pick?.done("failure");
  assert.deepEqual(
    balancer.endpoints().map((endpoint) => [endpoint.instance.instanceId, endpoint.inFlight]),
    [
      ["bad", 0],
      ["new", 0],
    ],
  );
});

test("an instance that registers again under its id is known by what it says now; at another address it is another one", () => {
  const { balancer, call, failUntilEjected, problems } = setUp(["a", "b"]);
  failUntilEjected("a");
  const again = { ...instance("a", ["a.v1.A", "a.v2.A"]), version: "2" };
  balancer.update([again, instance("b")]);
  assert.deepEqual(problems(), ["a"], "what is known about it is kept");
  assert.equal(balancer.pick({ methodServed: "a.v2.A" })?.instance, again);
  balancer.update([{ ...again, address: "127.0.0.1:2" }, instance("b")]);
  assert.deepEqual(problems(), []);
  assert.equal(call("success", { exclude: new Set(["b"]) }), "a");
});
