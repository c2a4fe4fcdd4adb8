/** Answers over HTTP/1.1 that are given before their request's body is there: they arrive, and cost the next call nothing. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@switchboard/testkit/eventually";
import { type GatewayUnderTest, gatewayUnderTest } from "./gateway-under-test.ts";
import { ProbeService } from "./probe-service.ts";

const forwarded = `/${ProbeService.typeName}/Put`;
const local = "/grpc.health.v1.Health/Check";
const large = Buffer.alloc(2 * 1024 * 1024, 32);

describe("an answer before the body is read", { timeout: 30_000 }, () => {
  let under: GatewayUnderTest;
  before(async () => {
    under = await gatewayUnderTest({});
  });
  after(() => under[Symbol.asyncDispose]());

  interface Sent {
    readonly status: number | undefined;
    readonly connection: string | undefined;
    readonly body: string;
    readonly reused: boolean;
  }
  const send = (agent: Agent, path: string, headers: Record<string, string>, body: Buffer) =>
    new Promise<Sent>((resolve, reject) => {
      const sending = request(new URL(path, under.url), {
        method: "POST",
        agent,
        headers: { "content-type": "application/json", ...headers },
        signal: AbortSignal.timeout(5_000),
      });
      sending.on("error", reject);
      sending.on("response", (response) => {
        const { connection } = response.headers;
        text(response).then(
          (body) => resolve({ status: response.statusCode, connection, body, reused: sending.reusedSocket }),
          reject,
        );
      });
      sending.end(body);
    });

  for (const [name, path] of Object.entries({ forwarded, local })) {
    for (const [how, headers] of [
      ["chunked", { "transfer-encoding": "chunked" }],
      ["announced", { "content-length": String(large.length) }],
      ["announced, behind Expect: 100-continue", { "content-length": String(large.length), expect: "100-continue" }],
    ] as const) {
      test(`too large, ${how}, ${name}: refused, and the agent's next call is answered`, async () => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        for (let count = 0; count < 3; count++) {
          const refusal = await send(agent, path, headers, large);
          assert.equal(refusal.status, 429);
          assert.match(refusal.body, /resource_exhausted/);
          assert.equal(refusal.connection, "close");
          assert.equal((await send(agent, local, {}, Buffer.from("{}"))).status, 200);
        }
        agent.destroy();
      });
    }

    test(`too large, from fetch, ${name}`, async () => {
      for (let count = 0; count < 3; count++) {
        const body = new ReadableStream({
          start(controller) {
            for (let chunk = 0; chunk < 32; chunk++) controller.enqueue(new Uint8Array(65_536).fill(32));
            controller.close();
          },
        });
        const response = await fetch(new URL(path, under.url), {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
          ...{ duplex: "half" },
          signal: AbortSignal.timeout(5_000),
        });
        assert.equal(response.status, 429);
        await response.text();
        const next = await fetch(new URL(local, under.url), {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: "{}",
        });
        assert.equal(next.status, 200);
        await next.text();
      }
    });

    test(`too large and without an end, ${name}: the answer arrives, then the connection is closed`, async () => {
      const socket = connectTcp(under.port, "127.0.0.1");
      let answer = "";
      const errors: Error[] = [];
      socket.on("data", (chunk) => {
        answer += chunk;
      });
      socket.on("error", (error) => errors.push(error));
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      );
      for (let count = 0; count < 16; count++) socket.write(`10000\r\n${" ".repeat(0x10000)}\r\n`);
      await eventually(() => assert.match(answer, /^HTTP\/1\.1 429 .*connection: close.*resource_exhausted/is));
      await Promise.race([closed, delay(5_000, undefined, { ref: false }).then(() => assert.fail("it stays open"))]);
    });
  }

  test("a small body that is announced is read in passing: refusals close no connection", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const path = `/${ProbeService.typeName}/Private`;
    for (let count = 0; count < 5; count++) {
      const refusal = await send(agent, path, {}, Buffer.from(JSON.stringify({ text: "x".repeat(30_000) })));
      assert.deepEqual([refusal.status, refusal.connection, refusal.reused], [401, "keep-alive", count > 0]);
    }
    agent.destroy();
  });

  test("an answer to a request without a body closes no connection", async () => {
    const socket = connectTcp(under.port, "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    for (let count = 1; count <= 3; count++) {
      socket.write("GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n");
      await eventually(() => assert.equal(answer.match(/404 .*?keep-alive/gis)?.length, count));
    }
    socket.destroy();
  });

  for (const [name, path] of Object.entries({ forwarded, local })) {
    test(`who asks before sending a body is told to send it, or refused at once, ${name}`, async () => {
      const ask = async (length: number, body: string) => {
        const socket = connectTcp(under.port, "127.0.0.1");
        let answer = "";
        socket.on("data", (chunk) => {
          if (String(chunk).startsWith("HTTP/1.1 100")) socket.write(body);
          answer += chunk;
        });
        socket.write(
          `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n\r\n`,
        );
        await eventually(() => assert.match(answer, /HTTP\/1\.1 [24]\d\d/));
        socket.destroy();
        return answer.match(/(?<=HTTP\/1\.1 )\d+/g);
      };
      assert.deepEqual(await ask(2, "{}"), ["100", "200"]);
      assert.deepEqual(await ask(large.length, ""), ["429"]);
    });
  }

  test("who asks before sending a body over HTTP/2 is told to", async () => {
    const session = connectHttp2(under.url);
    const stream = session.request({
      ":method": "POST",
      ":path": forwarded,
      "content-type": "application/json",
      expect: "100-continue",
    });
    const answered = once(stream, "response");
    await once(stream, "continue");
    stream.end("{}");
    assert.equal((await answered)[0][":status"], 200);
    session.destroy();
  });

  test("no call is taken from behind an answer that closes its connection", async () => {
    const counted = await gatewayUnderTest();
    const probe = await counted.probe();
    await counted.routed();
    const socket = connectTcp(counted.port, "127.0.0.1");
    socket.on("error", () => {});
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    const head = (method: string) =>
      `POST /${ProbeService.typeName}/${method} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
    socket.write(`${head("Put")}transfer-encoding: chunked\r\n\r\n`);
    for (let count = 0; count < 2; count++) socket.write(`10000\r\n${" ".repeat(0x10000)}\r\n`);
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    await eventually(() => assert.match(answer, /429/));
    socket.write(`0\r\n\r\n${head("Write")}content-length: 2\r\n\r\n{}`);
    socket.end();
    await closed;
    assert.ok(!probe.calls.includes("Write"));
    await counted[Symbol.asyncDispose]();
  });
});
