import assert from "node:assert/strict";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { pino } from "pino";
import { cert, key } from "./certificate.fake.ts";
import { EchoService, instanceAt } from "./echo.fake.ts";
import { openListener } from "./listener.ts";
import { openEcho } from "./open-echo.fake.ts";

const handler = connectNodeAdapter({
  routes: (router) => void router.service(EchoService, { read: ({ text }) => ({ text }) }),
});

async function startTls() {
  const listener = await openListener({
    host: "127.0.0.1",
    port: 0,
    tls: { cert, key },
    log: pino({ level: "silent" }),
    onRequest: handler,
  });
  return {
    instance: { ...instanceAt(0, "a"), address: listener.address },
    async [Symbol.asyncDispose]() {
      listener.destroy();
      await listener.closed;
    },
  };
}

test("with TLS, gRPC goes over HTTP/2 that ALPN chose", async () => {
  await using server = await startTls();
  await using echo = openEcho([server], { tls: { ca: cert } });
  assert.equal((await echo.client.read({ text: "1" })).text, "1");
  assert.equal(echo.channel.endpoints()[0]?.protocol, "grpc");
});

test("with TLS, a server that offers HTTP/1.1 only is called with Connect", async () => {
  const server: Server = createServer({ cert, key }, handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  {
    const instance = instanceAt((server.address() as AddressInfo).port, "a");
    await using echo = openEcho([{ instance }], { tls: { ca: cert } });
    assert.equal((await echo.client.read({ text: "1" })).text, "1");
    assert.equal(echo.channel.endpoints()[0]?.protocol, "connect");
  }
  await new Promise((resolve) => server.close(resolve));
});

test("an instance whose certificate is not trusted gets no call", async () => {
  await using server = await startTls();
  await using echo = openEcho([server], { tls: {}, retry: { patienceMs: 20 } });
  const error = await echo.client.read({}).catch((reason) => reason);
  assert.equal(ConnectError.from(error).code, Code.Unavailable);
  assert.equal(echo.channel.endpoints()[0]?.protocol, "grpc", "no fallback to be cheated into");
});
