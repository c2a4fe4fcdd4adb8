import assert from "node:assert/strict";
import { test } from "node:test";
import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { createWritableIterable } from "@connectrpc/connect/protocol";
import { AppError } from "@switchboard/contract/app-error";
import { ErrorInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { EchoService, hang, instanceAt, startEcho } from "./echo.fake.ts";
import { reasonOf } from "./errors.ts";
import { messages, openEcho } from "./open-echo.fake.ts";

test("every kind of method works, over one session", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server]);
  const { client } = echo;
  assert.equal((await client.read({ text: "hi" })).text, "a:hi");
  assert.equal((await client.write({ text: "hi" })).text, "a:hi");
  assert.deepEqual(await Array.fromAsync(client.watch({ text: "w" }), ({ text }) => text), ["a:w1", "a:w2", "a:w3"]);
  assert.equal((await client.upload(messages("1", "2", "3"))).text, "a:1+2+3");
  assert.deepEqual(await Array.fromAsync(client.chat(messages("x", "y")), ({ text }) => text), ["a:x", "a:y"]);
  assert.ok(
    server.calls.every((call) => call.startsWith("grpc ")),
    server.calls.join(),
  );
  assert.equal(server.sessions.size, 1);
  assert.equal(echo.channel.endpoints()[0]?.inFlight, 0);
});

test("a client over the channel has the same type as one of a router in memory", async () => {
  await using server = await startEcho({ id: "real" });
  await using echo = openEcho([server]);
  const fake = createRouterTransport(({ service }) => {
    service(EchoService, { read: ({ text }) => ({ text: `fake:${text}` }) });
  });
  const clients: Client<typeof EchoService>[] = [echo.client, createClient(EchoService, fake)];
  const answers = await Promise.all(clients.map((client) => client.read({ text: "1" })));
  assert.deepEqual(
    answers.map(({ text }) => text),
    ["real:1", "fake:1"],
  );
});

test("a large message passes in both directions, as does an empty one", async () => {
  await using server = await startEcho({ id: "" });
  await using echo = openEcho([server]);
  const text = "x".repeat(3_000_000);
  assert.equal((await echo.client.read({ text })).text.length, text.length + 1);
  assert.equal((await echo.client.read({})).text, ":");
});

test("an answer above the limit that was set is refused, one at the limit is not", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server], { messages: { maxAnswerBytes: 1_000 } });
  // Two bytes of field and length, two more of length, "a:".
  assert.equal((await echo.client.read({ text: "x".repeat(995) })).text.length, 997);
  await assert.rejects(
    echo.client.read({ text: "x".repeat(996) }),
    (error) => ConnectError.from(error).code === Code.ResourceExhausted,
  );
});

for (const http of ["h2c", "http1"] as const) {
  test(`messages are compressed from the size on that was set, over ${http}`, async () => {
    const text = "x".repeat(10_000);
    const encodings: (string | null)[] = [];
    await using server = await startEcho({
      id: "a",
      http,
      handlers: {
        read(request, { requestHeader }) {
          encodings.push(requestHeader.get("grpc-encoding") ?? requestHeader.get("content-encoding"));
          return { text: request.text };
        },
      },
    });
    await using compressing = openEcho([server], { messages: { gzipFromBytes: 0 } });
    await using plain = openEcho([server]);
    assert.equal((await compressing.client.read({ text })).text, text);
    assert.equal((await compressing.client.read({})).text, "", "an empty one, too");
    assert.equal((await plain.client.read({ text })).text, text);
    assert.deepEqual(encodings, ["gzip", "gzip", null]);
  });
}

test("many large messages at once pass, too", async () => {
  await using server = await startEcho({ id: "" });
  await using echo = openEcho([server]);
  const text = "x".repeat(500_000);
  const answers = await Promise.all(Array.from({ length: 60 }, () => echo.client.read({ text })));
  assert.ok(answers.every((answer) => answer.text.length === text.length + 1));
  assert.equal(server.calls.length, 60, "none was repeated");
});

test("all instances are used, and one that registers later too", async () => {
  await using a = await startEcho({ id: "a" });
  await using b = await startEcho({ id: "b" });
  await using c = await startEcho({ id: "c" });
  await using echo = openEcho([a, b]);
  for (let i = 0; i < 40; i += 1) await echo.client.read({});
  assert.ok(a.calls.length > 5 && b.calls.length > 5, `${a.calls.length} and ${b.calls.length}`);
  echo.registry.set(a.instance, b.instance, c.instance);
  for (let i = 0; i < 60; i += 1) await echo.client.read({});
  assert.ok(c.calls.length > 5, `${c.calls.length}`);
});

test("an instance that leaves the registry gets no new calls, and finishes those it has", async () => {
  const { promise: finish, resolve } = Promise.withResolvers<void>();
  await using leaving = await startEcho({
    id: "leaving",
    handlers: { write: async () => finish.then(() => ({ text: "done" })) },
  });
  await using staying = await startEcho({ id: "staying" });
  await using echo = openEcho([leaving]);
  const pending = echo.client.write({});
  await eventually(() => assert.equal(leaving.calls.length, 1));
  echo.registry.set(staying.instance);
  for (let i = 0; i < 10; i += 1) assert.equal((await echo.client.read({})).text, "staying:");
  resolve();
  assert.equal((await pending).text, "done");
  await eventually(() => assert.equal(leaving.connections(), 0));
});

test("an error of the service arrives as the service meant it, and is not repeated", async () => {
  await using server = await startEcho({
    id: "a",
    handlers: {
      read: () => {
        const value = { reason: "NOT_FOUND", domain: "switchboard" };
        throw new ConnectError("no such text", Code.NotFound, { "x-note": "hi" }, [{ desc: ErrorInfoSchema, value }]);
      },
    },
  });
  await using echo = openEcho([server]);
  const error = await failure(echo.client.read({}));
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.rawMessage, "no such text");
  assert.equal(error.metadata.get("x-note"), "hi");
  assert.equal(reasonOf(error), "NOT_FOUND");
  assert.equal(server.calls.length, 1);
});

test("the service token goes with every call, beside the caller's own headers", async () => {
  const seen: (string | null)[] = [];
  await using server = await startEcho({
    id: "a",
    handlers: {
      read: (_, { requestHeader }) => {
        seen.push(requestHeader.get("switchboard-service-token"), requestHeader.get("authorization"));
        return {};
      },
    },
  });
  await using echo = openEcho([server], { token: async () => "mine" });
  await echo.client.read({}, { headers: { authorization: "Bearer user", "switchboard-service-token": "forged" } });
  assert.deepEqual(seen, ["mine", "Bearer user"]);
});

test("without a token of its own, the call fails with the token's reason and is not sent", async () => {
  await using server = await startEcho({ id: "a" });
  const token = async (): Promise<string> => {
    throw new AppError("AUTH_UNAVAILABLE", "no token");
  };
  await using echo = openEcho([server], { token });
  assert.equal(reasonOf(await failure(echo.client.read({}))), "AUTH_UNAVAILABLE");
  await using never = openEcho([server], { token: () => new Promise(() => {}) });
  assert.equal((await failure(never.client.read({}, { timeoutMs: 50 }))).code, Code.DeadlineExceeded);
  assert.deepEqual(server.calls, []);
});

test("no instance: it waits a moment for one, then says so", async () => {
  await using server = await startEcho({ id: "late" });
  await using echo = openEcho([], { timing: { waitForInstanceMs: 300 } });
  assert.match(echo.channel.problem() ?? "", /no instance of echo/);
  const call = echo.client.write({ text: "1" });
  echo.registry.set(server.instance);
  assert.equal((await call).text, "late:1");
  assert.equal(echo.channel.problem(), undefined);

  echo.registry.set();
  const error = await failure(echo.client.write({}));
  assert.equal(error.code, Code.Unavailable);
  assert.equal(reasonOf(error), "SERVICE_UNAVAILABLE");
  const short = performance.now();
  assert.equal((await failure(echo.client.write({}, { timeoutMs: 30 }))).code, Code.DeadlineExceeded);
  assert.ok(performance.now() - short < 250, "the deadline is shorter than the wait");
});

test("an instance without the called rpc service is not called", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([{ instance: { ...server.instance, rpcServices: ["test.echo.v2.EchoService"] } }], {
    timing: { waitForInstanceMs: 20 },
  });
  const error = await failure(echo.client.read({}));
  assert.match(error.rawMessage, /no instance serves test\.echo\.v1\.EchoService/);
});

test("a failed call says what was tried, and no addresses", async () => {
  await using server = await startEcho({ id: "gone" });
  await server.kill();
  await using echo = openEcho([server], { retry: { patienceMs: 50 } });
  const error = await failure(echo.client.write({}));
  assert.equal(reasonOf(error), "SERVICE_UNAVAILABLE");
  const detail = error.details.find((each) => "desc" in each && each.desc === ErrorInfoSchema);
  const { metadata = {} } = (detail && "desc" in detail ? detail.value : {}) as { metadata?: Record<string, string> };
  assert.equal(metadata.service, "echo");
  assert.ok(Number(metadata.attempts) > 1);
  assert.match(metadata.tried ?? "", /^gone gone/);
  assert.match(metadata.breakers ?? "", /gone=/);
  assert.doesNotMatch(JSON.stringify([error.rawMessage, metadata]), /127\.0\.0\.1/);
});

test("cancellation reaches the service", async () => {
  const { promise: cancelled, resolve } = Promise.withResolvers<unknown>();
  await using server = await startEcho({
    id: "a",
    handlers: {
      read: (request, context) => {
        context.signal.addEventListener("abort", () => resolve(context.signal.reason));
        return hang(request, context);
      },
    },
  });
  await using echo = openEcho([server]);
  const controller = new AbortController();
  const call = failure(echo.client.read({}, { signal: controller.signal }));
  await eventually(() => assert.equal(server.calls.length, 1));
  controller.abort();
  assert.equal((await call).code, Code.Canceled);
  assert.equal(ConnectError.from(await cancelled).code, Code.Canceled);
  assert.equal(echo.channel.endpoints()[0]?.inFlight, 0);
  assert.equal(server.sessions.size, 1, "the session lives on");
});

test("a signal that is aborted before ends the call before it is sent", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server]);
  assert.equal((await failure(echo.client.read({}, { signal: AbortSignal.abort() }))).code, Code.Canceled);
  assert.deepEqual(server.calls, []);
});

test("the deadline travels, ends a call that takes too long, and holds for all attempts together", async () => {
  const remaining: (number | undefined)[] = [];
  await using server = await startEcho({
    id: "a",
    handlers: {
      read: (_, { timeoutMs }) => {
        remaining.push(timeoutMs());
        throw new ConnectError("later", Code.Unavailable, { "grpc-retry-pushback-ms": "40" });
      },
      write: hang,
    },
  });
  await using echo = openEcho([server]);
  const error = await failure(echo.client.read({}, { timeoutMs: 1_000 }));
  assert.equal(error.code, Code.Unavailable);
  assert.equal(remaining.length, 3);
  const [first = 0, second = 0, third = 0] = remaining;
  assert.ok(first <= 1_000 && second <= first - 35 && third <= second - 35, remaining.join());

  const late = await failure(echo.client.write({}, { timeoutMs: 60 }));
  assert.equal(late.code, Code.DeadlineExceeded);
  assert.equal(reasonOf(late), "DEADLINE_EXCEEDED");

  remaining.length = 0;
  const start = performance.now();
  assert.equal((await failure(echo.client.read({}, { timeoutMs: 30 }))).code, Code.Unavailable);
  assert.equal(remaining.length, 1, "no attempt that could not end in time");
  assert.ok(performance.now() - start < 1_000);
});

test("a closed channel ends its calls and its connections", async () => {
  await using server = await startEcho({ id: "a", handlers: { read: hang } });
  const echo = openEcho([server], { timing: { waitForInstanceMs: 20 } });
  const call = failure(echo.client.read({}));
  await eventually(() => assert.equal(server.calls.length, 1));
  await echo.channel[Symbol.asyncDispose]();
  assert.equal((await call).code, Code.Unavailable);
  await eventually(() => assert.equal(server.connections(), 0));
});

test("a closed channel ends calls to instances that have left, too", async () => {
  await using server = await startEcho({ id: "a", handlers: { read: hang } });
  const echo = openEcho([server], { timing: { waitForInstanceMs: 20 } });
  const call = failure(echo.client.read({}));
  await eventually(() => assert.equal(server.calls.length, 1));
  echo.registry.set();
  await echo.channel[Symbol.asyncDispose]();
  assert.equal((await call).code, Code.Unavailable);
  await eventually(() => assert.equal(server.connections(), 0));
});

test("a dead address among others costs no call, not even a write", async () => {
  await using gone = await startEcho({ id: "gone" });
  await gone.kill();
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([gone, server, { instance: instanceAt(1, "closed") }]);
  for (let i = 0; i < 30; i += 1) assert.equal((await echo.client.write({})).text, "a:");
  const ejected = echo.channel.endpoints().filter(({ available }) => !available);
  assert.ok(ejected.length > 0 && ejected.every(({ instance }) => instance.instanceId !== "a"));
});

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  const outcome = await call.then(
    (answer) => new Error(`answered: ${JSON.stringify(answer)}`),
    (error) => error,
  );
  assert.ok(outcome instanceof ConnectError, String(outcome));
  return outcome;
}

test("a header that cannot be sent fails its call at once, and is no fault of the instance", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server]);
  const error = await echo.client.read({}, { headers: { "keep-alive": "5" } }).catch((reason) => reason);
  assert.equal(reasonOf(error), "MALFORMED_REQUEST");
  assert.equal(echo.channel.endpoints()[0]?.available, true);
  assert.equal((await echo.client.read({ text: "1" })).text, "a:1");
});

test("a stream that cannot begin tells whoever writes into it", async () => {
  await using server = await startEcho({ id: "a" });
  await using echo = openEcho([server], { token: () => Promise.reject(new Error("no token")) });
  const source = createWritableIterable<{ text: string }>();
  const written = assert.rejects(source.write({ text: "1" }));
  await assert.rejects(echo.client.upload(source));
  await written;
});

test("an instance that registers again at another address is called there", async () => {
  await using first = await startEcho({ id: "a" });
  await using second = await startEcho({ id: "a" });
  await using echo = openEcho([first]);
  await echo.client.read({});
  echo.registry.set(second.instance);
  await echo.client.read({});
  assert.equal(second.calls.length, 1);
});
