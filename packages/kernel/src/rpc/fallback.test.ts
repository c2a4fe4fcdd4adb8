import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { eventually } from "@switchboard/testkit/eventually";
import { hang, instanceAt, startEcho } from "./echo.fake.ts";
import { reasonOf } from "./errors.ts";
import { messages, openEcho } from "./open-echo.fake.ts";

test("where HTTP/2 is refused, Connect over HTTP/1.1 serves: unary calls, writes, and streams in one direction", async () => {
  await using server = await startEcho({ id: "a", http: "http1" });
  await using echo = openEcho([server]);
  assert.equal((await echo.client.write({ text: "1" })).text, "a:1");
  assert.equal((await echo.client.read({ text: "2" })).text, "a:2");
  assert.deepEqual(await Array.fromAsync(echo.client.watch({}), ({ text }) => text), ["a:1", "a:2", "a:3"]);
  assert.equal((await echo.client.upload(messages("1", "2"))).text, "a:1+2");
  assert.deepEqual(server.calls, ["connect write", "connect read", "connect watch", "connect upload"]);
  assert.equal(echo.channel.endpoints()[0]?.protocol, "connect");
  assert.equal(echo.channel.problem(), undefined);
});

test("the very first call may be a stream, too", async () => {
  for (const call of ["watch", "upload"] as const) {
    await using server = await startEcho({ id: "a", http: "http1" });
    await using echo = openEcho([server]);
    if (call === "watch") assert.equal((await Array.fromAsync(echo.client.watch({}))).length, 3);
    else assert.equal((await echo.client.upload(messages("1", "2"))).text, "a:1+2");
  }
});

test("a stream in both directions has no way over HTTP/1.1 and says so", async () => {
  await using server = await startEcho({ id: "a", http: "http1" });
  await using echo = openEcho([server]);
  const error = await Array.fromAsync(echo.client.chat(messages("1"))).catch((reason) => reason);
  assert.ok(error instanceof ConnectError);
  assert.equal(error.code, Code.FailedPrecondition);
  assert.equal(reasonOf(error), "WRONG_STATE");
  assert.match(error.rawMessage, /HTTP\/2/);

  await using capable = await startEcho({ id: "b" });
  echo.registry.set(server.instance, capable.instance);
  for (let i = 0; i < 5; i += 1) {
    const answers = await Array.fromAsync(echo.client.chat(messages("1")), ({ text }) => text);
    assert.deepEqual(answers, ["b:1"], "another instance takes it");
  }
});

test("the fallback is remembered, and left again when gRPC works", async () => {
  const clock = { ms: 1_000_000 };
  const options = { now: () => clock.ms, timing: { firstProbeMs: 5_000, maxProbeMs: 8_000 } };
  const old = await startEcho({ id: "a", http: "http1" });
  await using echo = openEcho([old], options);
  await echo.client.read({});
  const connections = old.connections();
  for (let i = 0; i < 5; i += 1) await echo.client.read({});
  assert.equal(old.connections(), connections, "no further tries of HTTP/2, one kept connection");

  await old.kill();
  await using current = await startEcho({ id: "a", port: Number(old.instance.address.split(":")[1]), http: "both" });
  await echo.client.read({});
  assert.deepEqual(current.calls, ["connect read"]);
  clock.ms += 5_000;
  await echo.client.write({});
  assert.deepEqual(current.calls.at(-1), "connect write", "what may not be repeated is no probe");
  await echo.client.read({});
  await echo.client.write({});
  assert.deepEqual(current.calls.slice(-2), ["grpc read", "grpc write"]);
  assert.equal(echo.channel.endpoints()[0]?.protocol, "grpc");
});

test("each refusal doubles the time until gRPC is tried again, up to a bound", async () => {
  const clock = { ms: 1_000_000 };
  let tries = 0;
  await using server = await startEcho({
    id: "a",
    http: "both",
    http2Handler: (_, response) => {
      tries += 1;
      response.writeHead(415).end();
    },
  });
  await using echo = openEcho([server], { now: () => clock.ms, timing: { firstProbeMs: 100, maxProbeMs: 300 } });
  const triesAfter = async (ms: number) => {
    clock.ms += ms;
    await echo.client.read({});
    return tries;
  };
  assert.equal(await triesAfter(0), 1);
  assert.equal(await triesAfter(99), 1);
  assert.equal(await triesAfter(1), 2);
  assert.equal(await triesAfter(199), 2);
  assert.equal(await triesAfter(1), 3);
  assert.equal(await triesAfter(299), 3);
  assert.equal(await triesAfter(1), 4);
  assert.equal(await triesAfter(299), 4);
});

test("calls that are refused together count as one refusal", async () => {
  const clock = { ms: 1_000_000 };
  const server = await startEcho({ id: "a", http: "http1" });
  const port = Number(server.instance.address.split(":")[1]);
  await using echo = openEcho([server], { now: () => clock.ms, timing: { firstProbeMs: 1_000, maxProbeMs: 60_000 } });
  await Promise.all(Array.from({ length: 8 }, () => echo.client.read({})));
  await server.kill();
  await using capable = await startEcho({ id: "a", port, http: "both" });
  clock.ms += 1_000;
  await echo.client.read({});
  assert.deepEqual(capable.calls, ["grpc read"]);
});

test("where gRPC's content type is refused, even a write goes over Connect: it was not looked at", async () => {
  await using server = await startEcho({ id: "a", http: "both", grpc: false });
  await using echo = openEcho([server]);
  assert.equal((await echo.client.write({ text: "1" })).text, "a:1");
  assert.deepEqual(server.calls, ["connect write"]);
});

test("where trailers get lost on the way, calls that may be repeated go over Connect", async () => {
  await using server = await startEcho({
    id: "a",
    http: "both",
    http2Handler: (_, response) => {
      response.writeHead(200, { "content-type": "application/grpc+proto" });
      response.end(new Uint8Array([0, 0, 0, 0, 0]));
    },
  });
  await using echo = openEcho([server]);
  await assert.rejects(echo.client.write({}), (error) => ConnectError.from(error).code === Code.Internal);
  assert.equal((await echo.client.read({ text: "1" })).text, "a:1");
  assert.equal((await echo.client.write({ text: "2" })).text, "a:2");
});

test("errors of the service arrive the same way over the fallback, as do deadline and cancellation", async () => {
  await using server = await startEcho({
    id: "a",
    http: "http1",
    handlers: {
      read: () => {
        throw new ConnectError("no such text", Code.NotFound);
      },
      write: hang,
    },
  });
  await using echo = openEcho([server]);
  await assert.rejects(echo.client.read({}), (error) => ConnectError.from(error).code === Code.NotFound);
  assert.deepEqual(server.calls, ["connect read"]);
  await assert.rejects(
    echo.client.write({}, { timeoutMs: 50 }),
    (error) => ConnectError.from(error).code === Code.DeadlineExceeded,
  );
  const controller = new AbortController();
  const call = assert.rejects(
    echo.client.write({}, { signal: controller.signal }),
    (error) => ConnectError.from(error).code === Code.Canceled,
  );
  await eventually(() => assert.equal(server.calls.length, 3));
  controller.abort();
  await call;
});

test("a peer that never answers over the fallback costs no more than the deadline", async () => {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.on("data", (data) => data.toString().startsWith("PRI") && socket.destroy());
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  await using echo = openEcho([{ instance: instanceAt((silent.address() as AddressInfo).port, "silent") }]);
  const error = await echo.client.read({}, { timeoutMs: 100 }).catch((reason) => reason);
  assert.equal(ConnectError.from(error).code, Code.DeadlineExceeded);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
});

test("an instance killed over the fallback fails no call that may be repeated", async () => {
  const slowly = async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return {};
  };
  await using victim = await startEcho({ id: "victim", http: "http1", handlers: { read: slowly } });
  await using survivor = await startEcho({ id: "survivor", http: "http1", handlers: { read: slowly } });
  await using echo = openEcho([victim, survivor]);
  const calls = Array.from({ length: 60 }, () => echo.client.read({}));
  await eventually(() => assert.ok(victim.calls.length > 5));
  await victim.kill();
  assert.equal((await Promise.all(calls)).length, 60);
  assert.equal((await echo.client.write({ text: "1" })).text, "survivor:1");
});

test("an instance that leaves finishes the calls over HTTP/1.1 that are under way", async () => {
  const held = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const handlers = {
    async write() {
      begun.resolve();
      await held.promise;
      return { text: "done" };
    },
  };
  await using server = await startEcho({ id: "a", http: "http1", handlers });
  await using echo = openEcho([server]);
  const writing = echo.client.write({});
  await begun.promise;
  echo.registry.set();
  // The connection of HTTP/2 is closed by then.
  await new Promise((resolve) => setImmediate(resolve));
  held.resolve();
  assert.equal((await writing).text, "done");
});
