/** More than one instance: both are used, one that dies takes no repeatable call with it, and a new one is found at once. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { AppError } from "@switchboard/contract/app-error";
import { GatewayService } from "@switchboard/gen/switchboard/gateway/v1/gateway_service_pb";
import { startTcpProxy } from "@switchboard/kernel/rpc/tcp-proxy.fake";
import { eventually } from "@switchboard/testkit/eventually";
import { refused } from "@switchboard/testkit/refused";
import { type GatewayUnderTest, gatewayUnderTest } from "./gateway-under-test.ts";
import { hanging, type ProbeHandlers, SecondProbeService, startProbe } from "./probe-service.ts";
import type { Protocol } from "./transports.ts";

const bounded = { timeout: 30_000 };
const protocols: readonly Protocol[] = ["connect", "grpc", "grpc-web-h2"];

/** Reads until it is stopped; how often each answer came. */
function load(under: GatewayUnderTest, protocol: Protocol) {
  const answers = new Map<string, number>();
  let going = true;
  const client = under.client(protocol);
  const workers = Array.from({ length: 8 }, async () => {
    while (going) {
      const answer = await client.read({}).then(({ text }) => text, String);
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
  });
  return {
    answers,
    async stop() {
      going = false;
      await Promise.all(workers);
    },
  };
}

test("two instances share the calls; the reads of a killed one succeed on the other", bounded, async () => {
  for (const protocol of protocols) {
    await using under = await gatewayUnderTest();
    const first = await under.probe({ read: () => ({ text: "first" }) }, { id: "1" });
    const second = await under.probe({ read: () => ({ text: "second" }) }, { id: "2" });
    await under.routed();
    const reading = load(under, protocol);
    await eventually(() =>
      assert.ok((reading.answers.get("first") ?? 0) > 50 && (reading.answers.get("second") ?? 0) > 50),
    );
    // It stays registered, as after kill -9.
    await first[Symbol.asyncDispose]();
    const before = reading.answers.get("second") ?? 0;
    await eventually(() => assert.ok((reading.answers.get("second") ?? 0) > before + 200));
    await reading.stop();
    assert.deepEqual([...reading.answers.keys()].sort(), ["first", "second"], protocol);
    assert.ok(second.calls.includes("Read"));
  }
});

test("calls wait for the only instance to be started again", bounded, async () => {
  await using under = await gatewayUnderTest();
  const probe = await under.probe({ read: () => ({ text: "before" }) });
  await under.routed();
  const reading = load(under, "grpc");
  await eventually(() => assert.ok((reading.answers.get("before") ?? 0) > 20));
  await probe[Symbol.asyncDispose]();
  await under.probe({ read: () => ({ text: "after" }) }, { id: "again" });
  await eventually(() => assert.ok((reading.answers.get("after") ?? 0) > 20));
  await reading.stop();
  assert.deepEqual([...reading.answers.keys()].sort(), ["after", "before"]);
});

test("a stream that finds an ejected instance well again brings it back while it goes on", bounded, async () => {
  await using under = await gatewayUnderTest();
  let failing = true;
  const leaving = new AbortController();
  await under.probe(
    {
      read() {
        if (failing) throw new AppError("SERVICE_UNAVAILABLE", "away");
        return { text: "ill" };
      },
      async *watch(_, { signal }) {
        yield { text: "ill" };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    },
    { id: "1" },
  );
  const well = {
    read: () => ({ text: "well" }),
    watch: async function* () {
      yield { text: "well" };
    },
  };
  await under.probe(well, { id: "2" });
  await under.routed();
  const client = under.client("grpc");
  const authorization = `Bearer ${await under.tokens.accessToken("admin")}`;
  const ejected = async () => {
    const { instances } = await under.clientOf(GatewayService, "grpc", { authorization }).listInstances({});
    return instances.find(({ instanceId }) => instanceId === "1")?.available === false;
  };
  await eventually(async () => {
    await client.read({});
    assert.ok(await ejected());
  });
  failing = false;
  await eventually(async () => {
    const first = await client.watch({}, { signal: leaving.signal })[Symbol.asyncIterator]().next();
    assert.equal(first.value?.text, "ill", "the ejection's time is not over");
  });
  // Which of two that are well gets a call is the balancer's choice; that it may choose both is told.
  await eventually(async () => assert.equal(await ejected(), false), { withinMs: 3_000 });
  leaving.abort();
});

test("a draining instance fails no call, of whatever kind", bounded, async () => {
  await using under = await gatewayUnderTest();
  const first = await under.probe({ write: ({ text }) => ({ text: `first ${text}` }) }, { id: "1" });
  await under.probe({ write: ({ text }) => ({ text: `second ${text}` }) }, { id: "2" });
  await under.routed();
  const outcomes = new Set<string>();
  let going = true;
  const workers = Array.from({ length: 8 }, async () => {
    while (going)
      outcomes.add(
        await under
          .client("grpc")
          .write({ text: "w" })
          .then(({ text }) => text, String),
      );
  });
  await eventually(() => assert.equal(outcomes.size, 2));
  await first.drain();
  going = false;
  await Promise.all(workers);
  assert.deepEqual([...outcomes].sort(), ["first w", "second w"]);
});

test("a write that may have begun is not sent again", bounded, async () => {
  await using under = await gatewayUnderTest();
  const hangs = hanging();
  const first = await killable(under, { write: hangs.handler });
  const call = under.client("grpc").write({ text: "x" });
  await hangs.begun;
  const second = await under.probe({}, { id: "2" });
  const failed = refused("SERVICE_UNAVAILABLE", call);
  await first.kill();
  assert.match((await failed).rawMessage, /not safe/);
  assert.ok(!second.calls.includes("Write"));
  assert.equal((await under.client("grpc").write({ text: "y" })).text, "y", "the next one goes to the other");
});

/** An instance behind a wire that can be cut: killed as by kill -9, its connections are reset. */
async function killable(under: GatewayUnderTest, handlers: ProbeHandlers) {
  const probe = await startProbe(under.verifier, handlers, { id: "1" });
  const wire = await startTcpProxy(Number(new URL(probe.url).port));
  under.registry.set({ ...probe.instance, address: `127.0.0.1:${wire.port}` });
  await under.routed();
  const kill = async () => {
    wire.cut();
    await wire[Symbol.asyncDispose]();
    await probe[Symbol.asyncDispose]();
  };
  return { calls: probe.calls, kill };
}

test("a repeatable call with a large body is not sent twice, one with a small body is", bounded, async () => {
  await using under = await gatewayUnderTest();
  const hangs = hanging();
  const first = await killable(under, { read: hangs.handler });
  const small = under.client("grpc").read({ text: "small" });
  const large = under.client("connect").read({ text: "x".repeat(100_000) });
  await eventually(() => assert.equal(first.calls.filter((name) => name === "Read").length, 2));
  await under.probe({ read: ({ text }) => ({ text }) }, { id: "2" });
  const failed = refused("SERVICE_UNAVAILABLE", large);
  await first.kill();
  assert.equal((await small).text, "small");
  await failed;
});

test("an instance that accepts and says nothing, or does not speak HTTP/2, is passed over", bounded, async () => {
  await using under = await gatewayUnderTest();
  const mute = createServer(() => {});
  const rude = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const goaway = createHttp2Server().on("session", (session) => session.goaway(0));
  for (const server of [mute, rude, goaway]) {
    server.on("connection", (socket) => socket.on("error", () => {}));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  const probe = await under.probe();
  await under.routed();
  const others = [mute, rude, goaway].map((server, index) => ({
    ...probe.instance,
    instanceId: `bad-${index}`,
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
  }));
  under.registry.set(probe.instance, ...others);
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => under.client("grpc").write({ text: `${index}` })),
  );
  assert.deepEqual(
    answers.map(({ text }) => text),
    answers.map((_, index) => `${index}`),
  );
  for (const server of [mute, rude, goaway]) server.close();
});

test("a service without an instance is unavailable, not unknown, and comes back within a second", bounded, async () => {
  await using under = await gatewayUnderTest({});
  under.registry.set();
  const waiting = under.client("connect").read({ text: "patient" });
  await under.probe({}, { id: "new" });
  assert.equal((await waiting).text, "patient");
  under.registry.set();
  const failure = await refused("SERVICE_UNAVAILABLE", under.client("connect").read({}));
  assert.match(failure.rawMessage, /cannot be reached/);
});

test(
  "where two versions run, the stricter policy holds, and calls go to instances that have the method",
  bounded,
  async () => {
    await using under = await gatewayUnderTest();
    const old = await under.probe({}, { id: "old" });
    await under.routed();
    assert.equal((await under.client().read({ text: "open" })).text, "open");
    const younger = await startProbe(
      under.verifier,
      { added: ({ text }: { text: string }) => ({ text: `added ${text}` }) } as never,
      { id: "young", descriptor: SecondProbeService },
    );
    under.registry.set(old.instance, younger.instance);
    await eventually(() => refused("CREDENTIAL_MISSING", under.client().read({})), { withinMs: 1_000 });
    for (let index = 0; index < 10; index++) {
      const response = await fetch(`${under.url}/test.probe.v1.ProbeService/Added`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"text":"x"}',
      });
      assert.deepEqual(await response.json(), { text: "added x" });
    }
    assert.ok(!old.calls.includes("Added"));
    await younger[Symbol.asyncDispose]();
  },
);
