/** What is Kafka's own: brokers that die, partitions that move, and what a key that fails costs the others. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer, connect as tcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { freePort } from "@switchboard/engines/free-port";
import type { KafkaServer } from "@switchboard/engines/kafka";
import { eventually } from "@switchboard/testkit/eventually";
import type { Bus } from "../bus.ts";
import { event, gate, numbers, textOf, watch } from "../law/world.ts";
import { openWorld, skip, startEngine } from "./engine.fake.ts";

/** Publishes numbered events of some keys, one call after the other, each until it is taken. */
async function publishUntilTaken(bus: Bus, keys: readonly string[], count: number, pauseMs: number): Promise<void> {
  for (let step = 0; step < count; step++) {
    const events = keys.map((key) => event(key, String(step)));
    await eventually(() => bus.publish(events), { withinMs: 60_000, everyMs: 100 });
    await delay(pauseMs);
  }
}

/** What was handled, whoever did it, in the order of the handling: of each key, the texts of its events. */
function ledger(keys: readonly string[]) {
  const handled = new Map<string, string[]>(keys.map((key) => [key, []]));
  return {
    handled,
    note: (one: EventEnvelope) => void handled.get(one.key)?.push(textOf(one)),
    get count() {
      return [...handled.values()].flat().length;
    },
  };
}

/** Passes bytes on; while it is deaf, what a broker answers breaks the connection instead. */
async function proxyTo(brokerPort: number) {
  const server = createServer((client) => {
    const broker = tcp({ host: "127.0.0.1", port: brokerPort });
    const end = () => {
      client.destroy();
      broker.destroy();
    };
    client.on("error", end).on("close", end).pipe(broker);
    broker.on("error", end).on("close", end);
    broker.on("data", (bytes) => (proxy.deaf ? end() : client.write(bytes)));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = {
    port: (server.address() as AddressInfo).port,
    deaf: false,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
  return proxy;
}

describe("Kafka that dies", { skip }, () => {
  it("killed and started again while events flow: nothing is lost, each key keeps its order, and it goes on", async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "switchboard-test-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    let engine = await startEngine({ dataDir: folder });
    stack.defer(() => engine.stop());
    const world = stack.use(openWorld(engine.brokers));
    const publisher = world.open("identity");
    const keys = numbers(12);
    const { handled, note } = ledger(keys);
    const consumers = await Promise.all([world.open("auth"), world.open("auth")].map((bus) => watch(bus, {}, note)));
    const publishing = publishUntilTaken(publisher, keys, 60, 20);
    await eventually(() => assert.ok(consumers.flatMap(({ texts }) => texts).length > 50));
    await engine.kill();
    await eventually(() => assert.match(publisher.problem() ?? "", /cannot be reached/), { withinMs: 20_000 });
    engine = await startEngine({ dataDir: folder, port: engine.port });
    await publishing;
    await eventually(
      () => {
        // Some come twice, which the inbox knows; what counts is when each came first.
        for (const [key, texts] of handled) assert.deepEqual([...new Set(texts)], numbers(60), key);
      },
      { withinMs: 20_000, everyMs: 200 },
    );
    await eventually(() => assert.equal(publisher.problem(), undefined));
  });

  it("starts before Kafka does, says what it lacks, and works when it comes", async () => {
    await using stack = new AsyncDisposableStack();
    const port = await freePort();
    const world = stack.use(openWorld(`127.0.0.1:${port}`));
    const bus = world.open("identity");
    const seen = await watch(bus);
    const heard: string[] = [];
    let gaps = 0;
    await bus.broadcast({
      topics: ["identity"],
      handle: (one) => void heard.push(textOf(one)),
      onGap: () => {
        gaps += 1;
      },
    });
    assert.match(bus.problem() ?? "", /cannot be reached/);
    await assert.rejects(bus.publish([event("k")]), { reason: "SERVICE_UNAVAILABLE" });
    await assert.rejects(bus.lag("g"), { reason: "SERVICE_UNAVAILABLE" });
    stack.use(await startEngine({ port }));
    await eventually(() => assert.equal(gaps, 1), { withinMs: 10_000 });
    await eventually(() => bus.publish([event("k", "1")]), { withinMs: 10_000 });
    await eventually(() => assert.deepEqual([seen.texts, heard], [["1"], ["1"]]), { withinMs: 10_000 });
    await eventually(() => assert.equal(bus.problem(), undefined));
  });
});

describe("Kafka that lives", { skip }, () => {
  let engine: KafkaServer;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine.stop());

  it("instances that come and go while events flow: each is handled once, and each key keeps its order", async () => {
    await using world = openWorld(engine.brokers);
    const keys = numbers(12);
    const done = ledger(keys);
    const handle = async (one: EventEnvelope) => {
      await delay(Math.random() * 5);
      done.note(one);
    };
    const first = await watch(world.open("auth"), {}, handle);
    const publishing = publishUntilTaken(world.open("identity"), keys, 120, 10);
    const second = await watch(world.open("auth"), {}, handle);
    const third = await watch(world.open("auth"), {}, handle);
    await eventually(() => assert.ok(third.texts.length > 20));
    await first.subscription.end();
    const fourth = await watch(world.open("auth"), {}, handle);
    await eventually(() => assert.ok(fourth.texts.length > 20));
    await second.subscription.end();
    await publishing;
    await eventually(() => assert.equal(done.count, keys.length * 120), { withinMs: 10_000 });
    for (const texts of done.handled.values()) assert.deepEqual(texts, numbers(120));
  });

  it("a key that fails holds up no other, however much waits behind it, and takes little memory", async () => {
    await using world = openWorld(engine.brokers);
    const publisher = world.open("identity");
    const consumer = world.open("auth");
    let mended = false;
    const seen = await watch(consumer, { maxAttempts: 100 }, (one) => {
      if (textOf(one) === "bad" && !mended) throw new Error("not yet");
    });
    // 40 MiB: more than is held in memory, all behind the first.
    const behind = new Uint8Array(256 * 1024);
    await publisher.publish([event("poison", "bad")]);
    for (let sent = 0; sent < 160; sent++) await publisher.publish([event("poison", "", { data: behind })]);
    await publisher.publish(numbers(40).map((key) => event(key, `after ${key}`)));
    await eventually(() => assert.equal(seen.texts.length, 40), { withinMs: 20_000 });
    mended = true;
    await eventually(() => assert.equal(seen.texts.length, 201), { withinMs: 60_000, everyMs: 100 });
    assert.equal(seen.texts[40], "bad");
    await eventually(async () => assert.equal(await consumer.lag("g"), 0));
  });

  it("a handler that is slow stops the reading: what is in memory stays bounded, and nothing is lost", async () => {
    await using world = openWorld(engine.brokers);
    const publisher = world.open("identity");
    const data = new Uint8Array(512 * 1024);
    for (let sent = 0; sent < 128; sent++) await publisher.publish([event(`k${sent}`, "", { data })]);
    const held = gate();
    await using opening = new AsyncDisposableStack();
    opening.defer(() => held.open());
    const seen = await watch(world.open("auth"), {}, () => held.opened);
    let before = -1;
    await eventually(
      () => {
        const now = world.received("auth");
        // Heartbeats go on.
        const quiet = now > 16 * 1024 * 1024 && now - before < 64 * 1024;
        before = now;
        assert.ok(quiet, `${now} bytes`);
      },
      { everyMs: 600, withinMs: 20_000 },
    );
    assert.ok(before < 32 * 1024 * 1024, `${before} bytes were read`);
    held.open();
    await eventually(() => assert.equal(seen.texts.length, 128), { withinMs: 20_000 });
  });

  it("attempts are counted over instances", async () => {
    await using world = openWorld(engine.brokers);
    const attempts: number[] = [];
    const fail = (_: unknown, { attempt }: { attempt: number }) => {
      attempts.push(attempt);
      throw new Error("never");
    };
    const first = await watch(world.open("auth"), { maxAttempts: 4 }, fail);
    await world.open("identity").publish([event("k")]);
    await eventually(() => assert.ok(attempts.length >= 2));
    await first.subscription.end();
    const auth = world.open("auth");
    await watch(auth, { maxAttempts: 4 }, fail);
    await eventually(async () => assert.equal((await auth.listDeadLetters("g", 10)).length, 1));
    assert.deepEqual(attempts, [1, 2, 3, 4]);
  });

  it("what was done beyond a failed event is not done again by the next instance", async () => {
    await using world = openWorld(engine.brokers);
    const fail = (one: { key: string }) => {
      if (one.key === "poison") throw new Error("never");
    };
    const first = await watch(world.open("auth"), {}, fail);
    await world.open("identity").publish([event("poison"), ...numbers(50).map((key) => event(key, key))]);
    await eventually(() => assert.equal(first.texts.length, 50));
    await first.subscription.end();
    const second = await watch(world.open("auth"), {}, fail);
    await world.open("identity").publish([event("late", "late")]);
    await eventually(() => assert.deepEqual(second.texts, ["late"]));
  });

  it("an event whose confirmation was lost does not swallow the next one", async () => {
    await using world = openWorld(engine.brokers);
    await using proxy = await proxyTo(engine.port);
    const seen = await watch(world.open("auth"));
    const publisher = world.open("identity", {
      connect: ({ onConnect }) => tcp({ host: "127.0.0.1", port: proxy.port }, onConnect),
    });
    await publisher.publish([event("k", "1")]);
    proxy.deaf = true;
    await assert.rejects(publisher.publish([event("k", "2")]), { reason: "SERVICE_UNAVAILABLE" });
    await eventually(() => assert.ok(seen.texts.includes("2")));
    proxy.deaf = false;
    await eventually(() => publisher.publish([event("k", "3")]));
    await eventually(() => assert.ok(seen.texts.includes("3")));
  });

  it("a publish of more than a batch may hold arrives whole and in order", async () => {
    await using world = openWorld(engine.brokers);
    const seen = await watch(world.open("auth"));
    const data = (text: string) => new TextEncoder().encode(text.padEnd(64 * 1024, " "));
    await world.open("identity").publish(numbers(120).map((text) => event("k", "", { data: data(text) })));
    await eventually(() => assert.equal(seen.texts.length, 120), { withinMs: 20_000 });
    assert.deepEqual(
      seen.texts.map((text) => text.trim()),
      numbers(120),
    );
  });
});
