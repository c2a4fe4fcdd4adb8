import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { instanceAt, startEcho } from "./echo.fake.ts";
import { reasonOf } from "./errors.ts";
import { openEcho } from "./open-echo.fake.ts";

/** An envelope that announces more than comes. */
const CUT = new Uint8Array([0, 0, 0, 0, 9, 1]);
/** The beginning of an envelope. */
const CUT_PREFIX = new Uint8Array([0, 0, 0]);
const EMPTY_MESSAGE = new Uint8Array([0, 0, 0, 0, 0]);

const failureOf = (call: Promise<unknown>): Promise<ConnectError> =>
  call.then(
    () => assert.fail("the call succeeded"),
    (error) => ConnectError.from(error),
  );
const watch = ({ client }: ReturnType<typeof openEcho>) => failureOf(Array.fromAsync(client.watch({})));

describe("an answer over gRPC", () => {
  const answering = (handle: (response: Http2ServerResponse, request: Http2ServerRequest) => void) =>
    startEcho({ id: "a", http2Handler: (request, response) => handle(response, request) });
  const grpc = { "content-type": "application/grpc+proto" };

  test("that breaks off inside a message is internal, not the caller's invalid argument", async () => {
    for (const bytes of [CUT, CUT_PREFIX]) {
      await using server = await answering((response) => {
        response.writeHead(200, grpc);
        response.addTrailers({ "grpc-status": "0" });
        response.end(bytes);
      });
      await using echo = openEcho([server]);
      const failure = await watch(echo);
      assert.deepEqual([failure.code, reasonOf(failure)], [Code.Internal, "INTERNAL"]);
      assert.match(failure.rawMessage, /cannot be read/);
    }
  });

  test("without a status, behind a message, is internal", async () => {
    await using server = await answering((response) => {
      response.writeHead(200, grpc);
      response.end(EMPTY_MESSAGE);
    });
    await using echo = openEcho([server]);
    assert.equal((await watch(echo)).code, Code.Internal);
    assert.equal((await failureOf(Array.fromAsync(echo.client.chat(one())))).code, Code.Internal, "both ways, too");
  });

  test("that is a refusal of HTTP, by a server with no other protocol, is unknown, and says why without an address", async () => {
    for (const status of [415, 505]) {
      await using server = await answering((response) => void response.writeHead(status).end());
      await using echo = openEcho([server]);
      const failure = await failureOf(echo.client.write({}));
      assert.equal(failure.code, Code.Unknown, String(status));
      assert.match(failure.rawMessage, /does not take gRPC/);
      assert.doesNotMatch(failure.rawMessage, /127\.0\.0\.1/);
    }
  });

  test("that is reset a moment before the deadline is late, not lost", async () => {
    await using server = await answering((response, request) => {
      const ms = Number.parseInt(String(request.headers["grpc-timeout"]), 10);
      setTimeout(() => response.stream.close(constants.NGHTTP2_CANCEL), ms - 10);
    });
    await using echo = openEcho([server]);
    const failure = await failureOf(echo.client.write({}, { timeoutMs: 300 }));
    assert.equal(failure.code, Code.DeadlineExceeded);
    assert.equal(reasonOf(failure), "DEADLINE_EXCEEDED");
  });

  test("that is reset long before the deadline is lost", async () => {
    await using server = await answering((response) => response.stream.close(constants.NGHTTP2_CANCEL));
    await using echo = openEcho([server]);
    assert.equal((await failureOf(echo.client.write({}, { timeoutMs: 10_000 }))).code, Code.Unavailable);
  });
});

test("an answer over Connect without its end, or cut inside a message, is internal", async () => {
  for (const bytes of [EMPTY_MESSAGE, CUT, CUT_PREFIX]) {
    await using server = await serve((_, response) => {
      response.writeHead(200, { "content-type": "application/connect+proto" });
      response.end(bytes);
    });
    await using echo = openEcho([server]);
    assert.equal((await watch(echo)).code, Code.Internal);
  }
});

async function* one() {
  yield { text: "1" };
}

async function serve(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    instance: instanceAt((server.address() as AddressInfo).port, "a"),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
