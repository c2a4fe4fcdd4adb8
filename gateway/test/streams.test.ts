/** Calls that do not run their course: deadlines, callers and instances that go away, bodies that are cut, and a gateway that stops. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SERVICE_TOKEN } from "@switchboard/contract/headers";
import { envelope } from "@switchboard/kernel/rpc/test/raw-request";
import { eventually } from "@switchboard/testkit/eventually";
import { refused } from "@switchboard/testkit/refused";
import { gatewayUnderTest, texts } from "./gateway-under-test.ts";
import { hanging, ProbeService } from "./probe-service.ts";
import { PROTOCOLS, type Protocol } from "./transports.ts";

const path = (method: string) => `/${ProbeService.typeName}/${method}`;

/** Sends one message, then nothing until the call ends. */
function endless() {
  const ended = Promise.withResolvers<void>();
  return {
    ended: ended.promise,
    async *handler({ text }: { text: string }, { signal }: { signal: AbortSignal }) {
      yield { text };
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      ended.resolve();
    },
  };
}

const bounded = { timeout: 20_000 };

for (const protocol of PROTOCOLS) {
  test(`a deadline that passes, over ${protocol}`, bounded, async () => {
    const hangs = hanging();
    const streams = endless();
    await using under = await gatewayUnderTest({ slow: hangs.handler, read: hangs.handler, watch: streams.handler });
    const client = under.client(protocol);
    const start = performance.now();
    await refused("DEADLINE_EXCEEDED", client.slow({}));
    assert.ok(performance.now() - start < 2_000, "the policy's timeout holds without the client asking for one");
    await hangs.givenUp;
    await assert.rejects(client.read({}, { timeoutMs: 100 }), /deadline/);
    const received: string[] = [];
    const watching = async () => {
      for await (const { text } of client.watch({ text: "first" }, { timeoutMs: 300 })) received.push(text);
    };
    await assert.rejects(watching(), /deadline/);
    assert.deepEqual(received, ["first"]);
    await streams.ended;
  });

  test(`a caller that goes away takes the call with it, over ${protocol}`, bounded, async () => {
    const hangs = hanging();
    const streams = endless();
    await using under = await gatewayUnderTest({ write: hangs.handler, watch: streams.handler });
    const client = under.client(protocol);
    const going = new AbortController();
    const call = client.write({}, { signal: going.signal });
    await hangs.begun;
    going.abort();
    await assert.rejects(call);
    await hangs.givenUp;
    const leaving = new AbortController();
    const watching = async () => {
      for await (const _ of client.watch({ text: "x" }, { signal: leaving.signal })) leaving.abort();
    };
    await assert.rejects(watching());
    await streams.ended;
  });

  test(`streams end with a reason when the gateway stops, unary calls finish, over ${protocol}`, bounded, async () => {
    const streams = endless();
    const release = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await using under = await gatewayUnderTest({
      watch: streams.handler,
      async write({ text }) {
        begun.resolve();
        await release.promise;
        return { text };
      },
    });
    const client = under.client(protocol);
    const first = Promise.withResolvers<void>();
    const watching = async () => {
      for await (const _ of client.watch({ text: "x" })) first.resolve();
    };
    const watched = refused("DRAINING", watching());
    const unary = client.write({ text: "finished" });
    await Promise.all([first.promise, begun.promise]);
    const drained = under.gateway.drain(5_000);
    await watched;
    release.resolve();
    assert.equal((await unary).text, "finished");
    await drained;
    await streams.ended;
  });

  test(`a revoked session's streams end, over ${protocol}`, bounded, async () => {
    const streams = endless();
    await using under = await gatewayUnderTest({ privateWatch: streams.handler });
    const authorization = `Bearer ${await under.tokens.accessToken("eve")}`;
    const watching = async () => {
      for await (const _ of under.client(protocol, { authorization }).privateWatch({ text: "x" })) {
        under.revoked.add("session-of-eve");
      }
    };
    const start = performance.now();
    await refused("CREDENTIAL_REVOKED", watching());
    assert.ok(performance.now() - start < 1_000);
    await streams.ended;
  });
}

test("the time that is left is what the service is told", bounded, async () => {
  const told: (number | undefined)[] = [];
  await using under = await gatewayUnderTest({
    read(_, context) {
      told.push(context.timeoutMs());
      return {};
    },
  });
  await under.client("grpc").read({}, { timeoutMs: 5_000 });
  await under.client("connect").read({});
  assert.ok((told[0] ?? 0) > 3_000 && (told[0] ?? 0) <= 5_000, `${told[0]}`);
  assert.ok((told[1] ?? 0) > 13_000 && (told[1] ?? 0) <= 15_000, `${told[1]}`);
});

test("a body that is cut reaches no handler as a whole one", bounded, async () => {
  const uploads: string[] = [];
  await using under = await gatewayUnderTest();
  const probe = await under.probe({
    write: ({ text }) => ({ text }),
    async upload(messages) {
      const seen: string[] = [];
      try {
        for await (const { text } of messages) seen.push(text);
        uploads.push(`complete ${seen}`);
      } catch {
        uploads.push(`cut ${seen}`);
      }
      return {};
    },
  });
  await under.routed();

  // HTTP/1.1: less than the announced length, then gone.
  const socket = connectTcp(under.port, "127.0.0.1");
  socket.write(
    `POST ${path("Write")} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"text"`,
  );
  await delay(100);
  socket.destroy();
  // Chunked, cut between two messages of a stream: what came so far would look whole.
  const message = envelope(Buffer.from('{"text":"a"}'));
  const chunked = connectTcp(under.port, "127.0.0.1");
  chunked.write(
    `POST ${path("Upload")} HTTP/1.1\r\nhost: x\r\ncontent-type: application/connect+json\r\ntransfer-encoding: chunked\r\n\r\n`,
  );
  chunked.write(`${message.length.toString(16)}\r\n${message.toString("latin1")}\r\n`, "latin1");
  await eventually(() => assert.equal(probe.calls.filter((name) => name === "Upload").length, 1));
  chunked.destroy();
  await eventually(() => assert.deepEqual(uploads, ["cut a"]));
  // HTTP/2: reset by its sender.
  const session = connectHttp2(under.url);
  const abort = new AbortController();
  const stream = session.request(
    { ":method": "POST", ":path": path("Upload"), "content-type": "application/connect+json" },
    { signal: abort.signal },
  );
  stream.on("error", () => {});
  stream.write(message);
  await eventually(() => assert.equal(probe.calls.filter((name) => name === "Upload").length, 2));
  abort.abort();
  await eventually(() => assert.deepEqual(uploads, ["cut a", "cut a"]));
  session.destroy();
  assert.ok(!probe.calls.includes("Write"));
});

test("an instance that dies in the middle of a stream: the stream ends with a reason", bounded, async () => {
  const protocols: Protocol[] = ["connect", "grpc", "grpc-web"];
  for (const protocol of protocols) {
    await using under = await gatewayUnderTest();
    const probe = await under.probe({ watch: endless().handler });
    await under.routed();
    const watching = async () => {
      for await (const _ of under.client(protocol).watch({ text: "x" })) void probe[Symbol.asyncDispose]();
    };
    await assert.rejects(watching(), /unavailable/);
  }
});

test("an answer that breaks off inside a message is cut, never completed", bounded, async () => {
  const { createServer } = await import("node:http2");
  await using under = await gatewayUnderTest({});
  const broken = createServer();
  broken.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "content-type": String(headers["content-type"]) });
    stream.write(headers["content-type"] === "application/json" ? '{"te' : Buffer.from([0, 0, 0, 0, 9, 1, 2]));
    setTimeout(() => stream.session?.destroy(), 50);
  });
  broken.listen(0, "127.0.0.1");
  await once(broken, "listening");
  const address = broken.address();
  const [instance] = under.registry.watchAll().current();
  assert.ok(instance && typeof address === "object" && address);
  under.registry.set({ ...instance, instanceId: "broken", address: `127.0.0.1:${address.port}` });
  for (const protocol of ["connect-json", "connect-h2", "grpc", "grpc-web"] as const) {
    await assert.rejects(under.client(protocol).write({ text: "x" }), { name: "ConnectError" });
    await assert.rejects(Array.fromAsync(under.client(protocol).watch({ text: "x" })), { name: "ConnectError" });
  }
  broken.close();
});

test("both directions stream at once over HTTP/1.1", bounded, async () => {
  await using under = await gatewayUnderTest({});
  const request = httpRequest(new URL(path("Chat"), under.url), {
    method: "POST",
    headers: { "content-type": "application/connect+json", "transfer-encoding": "chunked" },
  });
  const responded = once(request, "response");
  for (const text of ["a", "b"]) {
    request.write(envelope(Buffer.from(JSON.stringify({ text }))));
    const [response] = await responded;
    let chunk: Buffer | null = response.read();
    while (chunk === null) {
      await once(response, "readable");
      chunk = response.read();
    }
    assert.equal(chunk.subarray(5).toString(), JSON.stringify({ text }), "answered before the next one was sent");
  }
  request.end();
  assert.deepEqual(await Array.fromAsync(under.client("connect").chat(texts("1")), ({ text }) => text), ["1"]);
});

test("nothing internal from outside reaches a service, and the gateway's own does", bounded, async () => {
  const seen: Headers[] = [];
  await using under = await gatewayUnderTest(
    {
      read(_, { requestHeader }) {
        seen.push(new Headers(requestHeader));
        return {};
      },
    },
    {},
  );
  const spoofed = {
    [SERVICE_TOKEN]: await under.tokens.serviceToken("auth"),
    "switchboard-client-address": "6.6.6.6",
    "switchboard-anything": "x",
    "x-forwarded-for": "6.6.6.6",
    "x-request-id": "asked-for",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "x-mine": "kept",
  };
  for (const protocol of ["connect", "grpc"] as const) await under.client(protocol, spoofed).read({});
  for (const headers of seen) {
    assert.notEqual(headers.get(SERVICE_TOKEN), spoofed[SERVICE_TOKEN]);
    assert.equal(headers.get("switchboard-client-address"), "127.0.0.1");
    assert.equal(headers.get("switchboard-anything"), null);
    assert.equal(headers.get("x-forwarded-for"), "127.0.0.1");
    assert.equal(headers.get("x-request-id"), "asked-for");
    assert.match(headers.get("traceparent") ?? "", /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)/);
    assert.equal(headers.get("x-mine"), "kept");
  }
  assert.equal(seen.length, 2);
});
