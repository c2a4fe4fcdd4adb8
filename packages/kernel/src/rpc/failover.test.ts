import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { eventually } from "@switchboard/testkit/eventually";
import { hang, instanceAt, startEcho } from "./echo.fake.ts";
import { messages, openEcho } from "./open-echo.fake.ts";
import { startTcpProxy } from "./tcp-proxy.fake.ts";

test("an instance killed under load fails no call that may be repeated", async () => {
  await using victim = await startEcho({ id: "victim", handlers: { read: slowly } });
  await using survivor = await startEcho({ id: "survivor", handlers: { read: slowly } });
  await using echo = openEcho([victim, survivor]);
  const calls = Array.from({ length: 200 }, async (_, i) => {
    await pause(i / 2);
    return echo.client.read({ text: String(i) });
  });
  await eventually(() => assert.ok(victim.calls.length > 20));
  await victim.kill();
  const answers = await Promise.all(calls);
  assert.equal(answers.length, 200);
  assert.ok(victim.calls.length + survivor.calls.length > 200, "some were repeated");
});

test("the only instance killed under load and started again: calls wait for it", async () => {
  const first = await startEcho({ id: "first", handlers: { read: slowly } });
  await using echo = openEcho([first]);
  const calls = Array.from({ length: 50 }, async (_, i) => {
    await pause(i);
    return (await echo.client.read({ text: String(i) })).text;
  });
  await eventually(() => assert.ok(first.calls.length > 10));
  await first.kill();
  await pause(300);
  await using second = await startEcho({ id: "second" });
  echo.registry.set(first.instance, second.instance);
  assert.equal((await Promise.all(calls)).length, 50);
});

test("a write is not repeated once it was sent, unless its request_id makes that safe", async () => {
  await using proxied = await startEcho({ id: "a", handlers: { write: slowly } });
  await using wire = await startTcpProxy(Number(proxied.instance.address.split(":")[1]));
  await using echo = openEcho([{ instance: instanceAt(wire.port, "a") }]);
  const unsafe = echo.client.write({ text: "1" }).catch((error) => error);
  await eventually(() => assert.equal(proxied.calls.length, 1));
  wire.cut();
  const error = await unsafe;
  assert.ok(error instanceof ConnectError);
  assert.equal(error.code, Code.Unavailable);
  assert.match(error.rawMessage, /not safe/);
  assert.equal(proxied.calls.length, 1);

  const safe = echo.client.write({ text: "2", requestId: "3f0e" });
  await eventually(() => assert.equal(proxied.calls.length, 2));
  wire.cut();
  assert.equal((await safe).text, "2");
  assert.equal(proxied.calls.length, 3);
});

test("an idle session that gets GOAWAY is replaced with the next call", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server]);
  for (let round = 0; round < 20; round += 1) {
    assert.equal((await echo.client.write({})).text, "a:");
    for (const session of server.sessions) {
      if (round % 2) session.goaway();
      else session.close();
    }
    // With and without the time that the frame needs.
    if (round % 3) await pause(5);
  }
});

test("a session that gets GOAWAY with calls under way lets them finish, and new ones go elsewhere", async () => {
  const { promise: finish, resolve } = Promise.withResolvers<void>();
  await using server = await startEcho({ id: "a", handlers: { write: () => finish.then(() => ({ text: "done" })) } });
  await using echo = openEcho([server]);
  const pending = echo.client.write({});
  await eventually(() => assert.equal(server.calls.length, 1));
  for (const session of server.sessions) session.close();
  await eventually(async () => {
    assert.equal((await echo.client.read({})).text, "a:");
    assert.equal(server.sessions.size, 2);
  });
  resolve();
  assert.equal((await pending).text, "done");
  await eventually(() => assert.equal(server.sessions.size, 1));
});

test("requests above the last id of a GOAWAY are sent again, even writes", async () => {
  let refusals = 0;
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server]);
  await echo.client.read({});
  for (const session of server.sessions) {
    session.prependListener("stream", (stream) => {
      // Refuses everything after the first stream: what came meanwhile was not looked at.
      if (refusals++ === 0) session.goaway(0, 1);
      stream.removeAllListeners();
      stream.on("error", () => {});
    });
  }
  const answers = await Promise.all(Array.from({ length: 5 }, () => echo.client.write({})));
  assert.deepEqual(
    answers.map(({ text }) => text),
    Array.from({ length: 5 }, () => "a:"),
  );
  assert.ok(refusals > 0);
});

test("sessions that the peer destroys at any time cost no call that may be repeated", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server], { retry: { maxAttempts: 10 } });
  const storm = setInterval(() => {
    for (const session of server.sessions) session.destroy();
  }, 7);
  try {
    for (let i = 0; i < 150; i += 1) assert.equal((await echo.client.read({ text: String(i) })).text, `a:${i}`);
  } finally {
    clearInterval(storm);
  }
});

test("a peer that accepts and never answers is given up after a moment, and another is chosen", async () => {
  const silent = createServer((socket) => socket.on("error", () => {}).resume());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const address = silent.address();
  const port = typeof address === "object" && address ? address.port : 0;
  await using server = await startEcho({ id: "good" });
  await using echo = openEcho([{ instance: instanceAt(port, "silent") }, server], {
    timing: { connectTimeoutMs: 50 },
    ejection: { consecutiveFailures: 2 },
  });
  for (let i = 0; i < 10; i += 1) assert.equal((await echo.client.write({})).text, "good:");
  await new Promise((resolve) => silent.close(resolve));
});

test("a peer that falls silent is noticed by its missing ping, and its calls go elsewhere", async () => {
  await using frozen = await startEcho({ id: "frozen", handlers: { read: slowly } });
  await using wire = await startTcpProxy(Number(frozen.instance.address.split(":")[1]));
  await using good = await startEcho({ id: "good" });
  await using echo = openEcho([{ instance: instanceAt(wire.port, "frozen") }], {
    timing: { connectTimeoutMs: 50, pingIntervalMs: 40, pingTimeoutMs: 40 },
  });
  assert.equal((await echo.client.write({})).text, "frozen:");
  const call = echo.client.read({ text: "x" });
  await eventually(() => assert.equal(frozen.calls.length, 2));
  wire.freeze();
  echo.registry.set(instanceAt(wire.port, "frozen"), good.instance);
  assert.equal((await call).text, "good:x");
});

test("an idle connection that died is noticed before a write is sent over it", async () => {
  await using server = await startEcho({ id: "frozen" });
  await using wire = await startTcpProxy(Number(server.instance.address.split(":")[1]));
  await using good = await startEcho({ id: "good" });
  await using echo = openEcho([{ instance: instanceAt(wire.port, "frozen") }], {
    timing: { connectTimeoutMs: 50, pingIntervalMs: 30, pingTimeoutMs: 40 },
  });
  assert.equal((await echo.client.write({})).text, "frozen:");
  wire.freeze();
  await pause(40);
  echo.registry.set(instanceAt(wire.port, "frozen"), good.instance);
  for (let i = 0; i < 5; i += 1) assert.equal((await echo.client.write({})).text, "good:");
});

test("a peer that answers pings is not given up, however long it takes", async () => {
  await using server = await startEcho({
    id: "a",
    handlers: { write: () => pause(200).then(() => ({ text: "late" })) },
  });
  await using echo = openEcho([server], { timing: { pingIntervalMs: 20, pingTimeoutMs: 100 } });
  assert.equal((await echo.client.write({})).text, "late");
});

test("near the peer's limit of streams a second session is opened", async () => {
  const held = Promise.withResolvers<void>();
  const write = () => held.promise.then(() => ({ text: "" }));
  await using server = await startEcho({ id: "a", maxStreams: 10, handlers: { write } });
  await using echo = openEcho([server]);
  await echo.client.read({});
  const calls: Promise<unknown>[] = [];
  for (let i = 0; i < 9; i += 1) {
    calls.push(echo.client.write({}));
    await eventually(() => assert.equal(server.calls.length, i + 2), { everyMs: 1 });
  }
  await eventually(() => assert.equal(server.sessions.size, 2));
  held.resolve();
  await Promise.all([...calls, ...Array.from({ length: 30 }, () => echo.client.write({}))]);
  assert.ok(server.sessions.size <= 4, `${server.sessions.size} sessions`);
});

test("an instance that fails is ejected, and returns when it is well again", async () => {
  let well = false;
  const clock = { ms: 1_000_000 };
  await using shaky = await startEcho({
    id: "shaky",
    handlers: {
      read: ({ text }) => {
        if (!well) throw new ConnectError("not now", Code.Unavailable);
        return { text: `shaky:${text}` };
      },
    },
  });
  await using good = await startEcho({ id: "good" });
  await using echo = openEcho([shaky, good], { now: () => clock.ms, retry: { initialBackoffMs: 1 } });
  for (let i = 0; i < 40; i += 1) assert.equal((await echo.client.read({})).text, "good:");
  const ejected = shaky.calls.length;
  assert.equal(ejected, 5);
  const status = echo.channel.endpoints().find(({ instance }) => instance.instanceId === "shaky");
  assert.equal(status?.breaker, "open");
  well = true;
  clock.ms += 1_000;
  for (let i = 0; i < 40; i += 1) await echo.client.read({});
  assert.ok(shaky.calls.length > ejected + 5, `${shaky.calls.length}`);
});

test("when everything fails, the budget keeps retries from becoming a storm", async () => {
  const handlers = {
    read: () => {
      throw new ConnectError("overwhelmed", Code.Unavailable);
    },
  };
  await using a = await startEcho({ id: "a", handlers });
  await using b = await startEcho({ id: "b", handlers });
  await using echo = openEcho([a, b], { retry: { initialBackoffMs: 1, maxBackoffMs: 1 } });
  const calls = 600;
  const failures = await Promise.all(
    Array.from({ length: calls }, () => echo.client.read({}).catch(ConnectError.from)),
  );
  assert.ok(failures.every((error) => error instanceof ConnectError && error.code === Code.Unavailable));
  const attempts = a.calls.length + b.calls.length;
  assert.ok(attempts < calls + 510, `${attempts} attempts for ${calls} calls`);
});

test("a server stream is begun again until its first message, never after", async () => {
  let early = 0;
  await using breaking = await startEcho({
    id: "breaking",
    handlers: {
      async *watch({ text }) {
        early += 1;
        if (text === "late") yield { text: "first" };
        throw new ConnectError("stopping", Code.Unavailable);
      },
    },
  });
  await using good = await startEcho({ id: "good" });
  await using echo = openEcho([breaking]);
  const answers = Array.fromAsync(echo.client.watch({ text: "early" }), ({ text }) => text);
  await eventually(() => assert.equal(early, 1));
  echo.registry.set(good.instance);
  assert.deepEqual(await answers, ["good:early1", "good:early2", "good:early3"]);

  echo.registry.set(breaking.instance);
  const seen: string[] = [];
  const stream = async () => {
    for await (const { text } of echo.client.watch({ text: "late" })) seen.push(text);
  };
  await assert.rejects(stream, (error) => error instanceof ConnectError && error.code === Code.Unavailable);
  assert.deepEqual(seen, ["first"]);
  assert.equal(early, 2);
});

test("a stream with messages of its own is sent elsewhere only where none was taken", async () => {
  await using gone = await startEcho({ id: "gone" });
  await gone.kill();
  await using good = await startEcho({ id: "good" });
  await using echo = openEcho([gone, good]);
  for (let i = 0; i < 5; i += 1) assert.equal((await echo.client.upload(messages("1", "2"))).text, "good:1+2");

  await using broken = await startEcho({
    id: "broken",
    handlers: {
      upload: async (requests) => {
        for await (const _ of requests) throw new ConnectError("stopping", Code.Unavailable);
        return {};
      },
    },
  });
  echo.registry.set(broken.instance);
  let ended = false;
  const endless = async function* () {
    try {
      for (;;) {
        yield { text: "again" };
        await pause(1);
      }
    } finally {
      ended = true;
    }
  };
  await assert.rejects(echo.client.upload(endless()), /stopping/);
  assert.equal(broken.calls.length, 1);
  await eventually(() => assert.ok(ended, "whoever makes the messages is told"));
});

test("a stream that loses its connection ends with an error that says so", async () => {
  await using server = await startEcho({
    id: "a",
    handlers: {
      async *watch(_, context) {
        yield { text: "first" };
        await hang(_, context);
      },
    },
  });
  await using echo = openEcho([server]);
  const stream = echo.client.watch({})[Symbol.asyncIterator]();
  assert.equal((await stream.next()).value?.text, "first");
  const next = stream.next();
  await server.kill();
  await assert.rejects(next, (error) => error instanceof ConnectError && error.code === Code.Unavailable);
  assert.equal(echo.channel.endpoints()[0]?.inFlight, 0);
});

test("an error of whoever makes the messages ends the call, and blames no instance", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server], { ejection: { consecutiveFailures: 1 } });
  const broken = async function* () {
    yield { text: "1" };
    throw new Error("no more paper");
  };
  await assert.rejects(echo.client.upload(broken()), /no more paper/);
  assert.equal(echo.channel.problem(), undefined);
});

async function slowly({ text }: { text: string }) {
  await pause(20);
  return { text };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
