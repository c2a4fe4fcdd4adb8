import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findConsul } from "@switchboard/engines/consul-program";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import { cert } from "../rpc/certificate.fake.ts";
import { type ConsulRegistryOptions, openConsulRegistry } from "./consul.ts";
import { type ConsulEngine, openConsulEngine } from "./consul-engine.fake.ts";
import { registryLaw } from "./registry.law.ts";
import type { Instance, Registration, Registry, Watch } from "./registry.ts";

const home = engineHome(process.env);
const skip = skipWithout("Consul", (await findConsul(home)) !== undefined, process.env);

describe("registry in Consul", { skip }, () => {
  registryLaw("consul", {
    open: () => openConsulEngine({ home, persistent: false }),
    openStoppable: () => openConsulEngine({ home, persistent: true }),
  });
});

const log = pino({ level: "silent" });
const IDENTITY = "switchboard.identity.v1.IdentityService";

function registration(instanceId: string, part: Partial<Registration> = {}): Registration {
  return {
    service: "identity",
    instanceId,
    address: `127.0.0.1:${instanceId.codePointAt(0)}`,
    version: "0.1.0",
    contractHash: "c0de",
    rpcServices: [IDENTITY],
    metadata: {},
    ...part,
  };
}

function open(engine: ConsulEngine, service: string, part: Partial<ConsulRegistryOptions> = {}) {
  return openConsulRegistry({ url: engine.url, token: engine.token(service), log, ...part });
}

function idsOf(watch: Watch<Instance>): string[] {
  return watch.current().map(({ instanceId }) => instanceId);
}

/** Fails the test when one of these is missing from the list, however shortly. */
function neverWithout(watch: Watch<Instance>, ids: readonly string[]) {
  const missing: string[][] = [];
  watch.subscribe((values) => {
    const seen = new Set(values.map(({ instanceId }) => instanceId));
    if (!ids.every((id) => seen.has(id))) missing.push([...seen]);
  });
  return () => assert.deepEqual(missing, []);
}

async function api(
  engine: ConsulEngine,
  method: string,
  path: string,
  body?: BodyInit,
  token = engine.managementToken,
) {
  const response = await fetch(`${engine.url}/v1/${path}`, {
    method,
    headers: { "x-consul-token": token },
    ...(body !== undefined && { body }),
  });
  return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
}

/** The index of all checks. */
async function indexOf(engine: ConsulEngine): Promise<number> {
  const response = await fetch(`${engine.url}/v1/health/state/any`, {
    headers: { "x-consul-token": engine.managementToken },
  });
  await response.arrayBuffer();
  return Number(response.headers.get("x-consul-index"));
}

/** By registrations that come and go; the answer is the new one. */
async function raiseIndex(engine: ConsulEngine, identity: Registry): Promise<number> {
  const before = await indexOf(engine);
  for (let round = 0; round < 10; round++) await (await identity.register(registration("z"))).end();
  await eventually(async () => assert.ok((await indexOf(engine)) >= before + 20));
  return indexOf(engine);
}

describe("Consul's own ways to fail", { skip }, () => {
  test("an agent that keeps nothing is killed and comes back: so do the instances, within seconds", async () => {
    await using engine = await openConsulEngine({ home, persistent: false });
    await using identity = open(engine, "identity");
    await using gateway = open(engine, "gateway");
    await identity.register(registration("a", { metadata: { zone: "z1", weight: "3" } }));
    using watch = gateway.watchAll();
    await eventually(() => assert.deepEqual(idsOf(watch), ["a"]));
    const check = neverWithout(watch, ["a"]);
    const indexBefore = await raiseIndex(engine, identity);

    await engine.kill();
    await eventually(() => assert.match(gateway.problem() ?? "", /cannot be reached/));
    await engine.start();
    assert.ok((await indexOf(engine)) < indexBefore);
    await eventually(() => assert.match(gateway.problem() ?? "", /does not know the token.*provision/));
    await eventually(() => assert.match(identity.problem() ?? "", /does not know the token.*provision/));
    await engine.provision();

    await using fresh = open(engine, "auth");
    using seen = fresh.watchAll();
    await eventually(() => assert.deepEqual(idsOf(seen), ["a"]), { withinMs: 2_000 });
    assert.deepEqual(seen.current()[0]?.metadata, { zone: "z1", weight: "3" });
    await eventually(() => assert.ok(watch.ageMs() < 1_500, `${watch.ageMs()} ms`));
    assert.equal(gateway.problem(), undefined);
    await eventually(() => assert.equal(identity.problem(), undefined));
    check();
  });

  test("an agent with its data is killed and comes back: nobody is missed, by nobody", async () => {
    await using engine = await openConsulEngine({ home, persistent: true });
    await using identity = open(engine, "identity");
    await using gateway = open(engine, "gateway");
    const lease = await identity.register(registration("a"));
    await identity.register(registration("b"));
    using watch = gateway.watchAll();
    await eventually(() => assert.deepEqual(idsOf(watch), ["a", "b"]));
    const check = neverWithout(watch, ["a", "b"]);
    await engine.kill();
    await eventually(() => assert.ok(watch.ageMs() > 1_500));
    assert.deepEqual(idsOf(watch), ["a", "b"]);
    await engine.start();
    await eventually(() => assert.ok(watch.ageMs() < 1_500));
    check();
    await using fresh = open(engine, "auth");
    using seen = fresh.watchAll();
    await eventually(() => assert.deepEqual(idsOf(seen), ["a", "b"]));
    await lease.end();
    await eventually(() => assert.deepEqual(idsOf(seen), ["b"]), { withinMs: 1_000 });
  });

  test("the index goes back under a running agent: later changes are seen", async () => {
    await using engine = await openConsulEngine({ home, persistent: true });
    await using identity = open(engine, "identity");
    await using gateway = open(engine, "gateway");
    await identity.register(registration("a"));
    using watch = gateway.watchAll();
    await eventually(() => assert.deepEqual(idsOf(watch), ["a"]));
    const snapshot = await api(engine, "GET", "snapshot");
    assert.equal(snapshot.status, 200);
    const indexBefore = await raiseIndex(engine, identity);
    const lease = await identity.register(registration("b"));
    await eventually(() => assert.deepEqual(idsOf(watch), ["a", "b"]));
    const check = neverWithout(watch, ["a"]);

    assert.equal((await api(engine, "PUT", "snapshot", new Uint8Array(snapshot.bytes))).status, 200);
    assert.ok((await indexOf(engine)) < indexBefore);
    await identity.register(registration("c"));
    await eventually(() => assert.ok(idsOf(watch).includes("c")), { withinMs: 3_000 });
    await lease.end();
    check();
  });

  test("an agent that is slow is one that works", async () => {
    await using engine = await openConsulEngine({ home, persistent: false });
    const timing = { leaseMs: 2_000, renewMs: 600 };
    await using identity = open(engine, "identity", timing);
    await using gateway = open(engine, "gateway", timing);
    engine.delayAnswers(300);
    using watch = gateway.watchAll();
    await identity.register(registration("a"));
    await eventually(() => assert.deepEqual(idsOf(watch), ["a"]));
    const check = neverWithout(watch, ["a"]);
    const begin = performance.now();
    await eventually(() => assert.ok(performance.now() - begin > 2 * timing.leaseMs));
    assert.ok(watch.ageMs() < 3_000, `${watch.ageMs()} ms`);
    assert.deepEqual([identity.problem(), gateway.problem()], [undefined, undefined]);
    check();
  });

  test("an agent that stops answering is away: the list holds, its age grows, and an end does not wait", async () => {
    await using engine = await openConsulEngine({ home, persistent: false });
    await using identity = open(engine, "identity");
    await using gateway = open(engine, "gateway");
    const lease = await identity.register(registration("a"));
    using watch = gateway.watchAll();
    await eventually(() => assert.deepEqual(idsOf(watch), ["a"]));
    engine.delayAnswers(60_000);
    await eventually(() => assert.match(gateway.problem() ?? "", /cannot be reached/), { withinMs: 8_000 });
    const age = watch.ageMs();
    assert.ok(age > 3_000, `${age} ms`);
    assert.deepEqual(idsOf(watch), ["a"]);
    const begin = performance.now();
    await lease.end();
    assert.ok(performance.now() - begin < 2_000);
    assert.ok(watch.ageMs() > age);
  });
});

describe("whom Consul's readers believe", { skip }, () => {
  test("an instance that claims what its service does not own is one without it", async () => {
    await using engine = await openConsulEngine({ home, persistent: false });
    await using identity = open(engine, "identity");
    await using gateway = open(engine, "gateway");
    await identity.register(registration("a"));
    using watch = gateway.watchAll();
    const [honest] = await eventually(() => {
      assert.deepEqual(idsOf(watch), ["a"]);
      return watch.current();
    });
    // Past the driver, with auth's own token: the same, under its own name.
    const services = await api(engine, "GET", "health/service/identity");
    const { Meta } = JSON.parse(services.bytes.toString())[0].Service;
    const forged = { ID: "auth:a", Name: "auth", Address: "127.0.0.1", Port: 666, Tags: ["switchboard"], Meta };
    const body = (part: object) => JSON.stringify({ ...forged, Check: { TTL: "60s", Status: "passing" }, ...part });
    const own = await api(engine, "PUT", "agent/service/register", body({}), engine.token("auth"));
    assert.equal(own.status, 200, own.bytes.toString());
    const [liar] = await eventually(() => {
      assert.equal(watch.current().length, 2);
      return watch.current();
    });
    assert.deepEqual([liar?.service, liar?.rpcServices], ["auth", []]);
    assert.deepEqual(honest?.rpcServices, [IDENTITY]);

    for (const part of [{ Name: "identity" }, { ID: "identity:a" }]) {
      const other = await api(engine, "PUT", "agent/service/register", body(part), engine.token("auth"));
      assert.equal(other.status, 403, other.bytes.toString());
    }
    const ended = await api(engine, "PUT", "agent/service/deregister/identity:a", undefined, engine.token("auth"));
    assert.equal(ended.status, 403);
  });

  test("a process that starts where a dead one of its service was takes its place", async () => {
    await using engine = await openConsulEngine({ home, persistent: false });
    await using identity = open(engine, "identity");
    await identity.register(registration("dead", { address: "127.0.0.1:7" }));
    await identity.register(registration("new", { address: "127.0.0.1:7" }));
    using watch = identity.watchAll();
    await watch.ready;
    await eventually(() => assert.deepEqual(idsOf(watch), ["new"]));
  });

  test("before anybody provisioned, registering waits and says for what", async () => {
    await using engine = await openConsulEngine({ home, persistent: false, provisioned: false });
    await using identity = open(engine, "identity");
    const registered = identity.register(registration("a"));
    await eventually(() => assert.match(identity.problem() ?? "", /registry.*provision/));
    await engine.provision();
    await registered;
    using watch = identity.watchAll();
    await eventually(() => assert.deepEqual(idsOf(watch), ["a"]));
    assert.equal(identity.problem(), undefined);
  });

  test("without access control and without an owner of any package it is the same", async () => {
    await using engine = await openConsulEngine({ home, persistent: false, provisioned: false });
    // The management token stands for an agent that lets everybody do everything.
    await using identity = openConsulRegistry({ url: engine.url, token: engine.managementToken, log });
    using watch = identity.watchAll();
    await eventually(() => assert.match(identity.problem() ?? "", /not provisioned: no package has an owner/));
    assert.equal(watch.ageMs(), Number.POSITIVE_INFINITY);
    await engine.provision();
    await watch.ready;
    assert.equal(identity.problem(), undefined);
  });

  test("with TLS, to an agent whose authority is known; to no other", async () => {
    await using engine = await openConsulEngine({ home, persistent: false });
    await using stranger = open(engine, "identity", { url: engine.tlsUrl });
    await using identity = open(engine, "identity", { url: engine.tlsUrl, tls: { ca: cert } });
    await identity.register(registration("a"));
    using watch = identity.watchAll();
    await eventually(() => assert.deepEqual(idsOf(watch), ["a"]));
    using nothing = stranger.watchAll();
    await eventually(() => assert.match(stranger.problem() ?? "", /cannot be reached/));
    assert.deepEqual(idsOf(nothing), []);
  });
});
