/** Answers over HTTP/2 that end while their request goes on: their trailers arrive, and only then the request is stopped. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";
import { after, before, describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { envelope } from "@switchboard/wire/envelope-scanner";
import { type GatewayUnderTest, gatewayUnderTest } from "./gateway-under-test.ts";
import { ProbeService, TextSchema } from "./probe-service.ts";

describe("an answer that ends before its request", { timeout: 30_000 }, () => {
  let under: GatewayUnderTest;
  let session: ClientHttp2Session;
  before(async () => {
    under = await gatewayUnderTest({
      // biome-ignore lint/correctness/useYield: it fails before its first answer
      async *chat(messages) {
        for await (const { text } of messages) throw new AppError("CONFLICT", text);
      },
    });
    session = connect(under.url);
  });
  after(async () => {
    session.close();
    await under[Symbol.asyncDispose]();
  });

  /** The request is left open. */
  const call = async (path: string, message: Uint8Array) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    let status: IncomingHttpHeaders = {};
    stream.on("response", (headers) => {
      status = headers;
    });
    stream.on("trailers", (trailers) => {
      status = trailers;
    });
    stream.on("error", () => {}).resume();
    stream.write(message);
    await once(stream, "close");
    return [status["grpc-status"], stream.rstCode];
  };
  const chat = `/${ProbeService.typeName}/Chat`;
  const upload = `/${ProbeService.typeName}/Upload`;
  const expected = (code: Code) => [String(code), constants.NGHTTP2_NO_ERROR];

  test("of an instance", async () => {
    const message = envelope(0, toBinary(TextSchema, create(TextSchema, { text: "no" })));
    const answers = await Promise.all(Array.from({ length: 50 }, () => call(chat, message)));
    for (const answer of answers) assert.deepEqual(answer, expected(Code.Aborted));
  });

  test("of the gateway, which refuses a message that is too large", async () => {
    const message = envelope(0, toBinary(TextSchema, create(TextSchema, { text: "x".repeat(2_000) })));
    const answers = await Promise.all(Array.from({ length: 50 }, () => call(upload, message)));
    for (const answer of answers) assert.deepEqual(answer, expected(Code.ResourceExhausted));
  });
});
