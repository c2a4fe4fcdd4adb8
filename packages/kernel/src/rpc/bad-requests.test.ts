import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { codeOf, type ReasonName } from "@switchboard/contract/app-error";
import { ErrorInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { StatusSchema } from "@switchboard/gen/google/rpc/status_pb";
import { GetUserRequestSchema, IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { pino } from "pino";
import { rpc } from "../service.ts";
import { reasonOf } from "./errors.ts";
import { startServer } from "./server.ts";
import { envelope, type RawAnswer, rawHttp1, rawHttp2 } from "./test/raw-request.ts";
import { type ServerUnderTest, serverUnderTest } from "./test/server-under-test.ts";

const getUser = "/switchboard.identity.v1.IdentityService/GetUser";

/** How each protocol sends one message, and where its answer has the reason. */
interface Speaker {
  readonly name: string;
  readonly type: { readonly json: string; readonly proto: string };
  readonly encoding: string;
  send(
    url: string,
    path: string,
    headers: Record<string, string>,
    message: Uint8Array,
    compressed?: boolean,
  ): Promise<RawAnswer>;
  failure(answer: RawAnswer): { readonly code: Code; readonly reason: string | undefined; readonly message: string };
}

const connectFailure: Speaker["failure"] = (answer) => {
  assert.equal(answer.headers["content-type"], "application/json", `status ${answer.status}`);
  const error = errorFromJsonBytes(answer.body, undefined, {} as never);
  return { code: error.code, reason: reasonOf(error), message: error.rawMessage };
};

function grpcFailure(status: string, details: string): ReturnType<Speaker["failure"]> {
  const decoded = fromBinary(StatusSchema, Buffer.from(details, "base64"));
  const info = decoded.details.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find(Boolean);
  return { code: Number(status), reason: info?.reason, message: decoded.message };
}

const framed = (message: Uint8Array, compressed = false) => [envelope(message, compressed ? 1 : 0)];
const speakers: readonly Speaker[] = [
  {
    name: "Connect over HTTP/1.1",
    type: { json: "application/json", proto: "application/proto" },
    encoding: "content-encoding",
    send: (url, path, headers, message) => rawHttp1(url, { path, headers, body: [message] }),
    failure: connectFailure,
  },
  {
    name: "Connect over h2c",
    type: { json: "application/json", proto: "application/proto" },
    encoding: "content-encoding",
    send: (url, path, headers, message) => rawHttp2(url, { path, headers, body: [message] }),
    failure: connectFailure,
  },
  {
    name: "gRPC",
    type: { json: "application/grpc+json", proto: "application/grpc+proto" },
    encoding: "grpc-encoding",
    send: (url, path, headers, message, compressed) =>
      rawHttp2(url, { path, headers, body: framed(message, compressed) }),
    failure: ({ headers, trailers }) => {
      const from = "grpc-status" in trailers ? trailers : headers;
      return grpcFailure(String(from["grpc-status"]), String(from["grpc-status-details-bin"]));
    },
  },
  {
    name: "gRPC-Web",
    type: { json: "application/grpc-web+json", proto: "application/grpc-web+proto" },
    encoding: "grpc-encoding",
    send: (url, path, headers, message, compressed) =>
      rawHttp1(url, { path, headers, body: framed(message, compressed) }),
    failure: ({ body }) => {
      const trailers = new Map(
        body
          .subarray(5)
          .toString()
          .split("\r\n")
          .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
      );
      return grpcFailure(trailers.get("grpc-status") ?? "", trailers.get("grpc-status-details-bin") ?? "");
    },
  },
];

async function expectFailure(
  under: ServerUnderTest,
  speaker: Speaker,
  sent: {
    readonly path?: string;
    readonly headers: Record<string, string>;
    readonly message: Uint8Array;
    readonly compressed?: boolean;
  },
  reason: ReasonName,
): Promise<string> {
  const credentials = Object.fromEntries(await under.fromOutside("ada"));
  const headers = { ...credentials, ...sent.headers };
  const answer = await speaker.send(under.url, sent.path ?? getUser, headers, sent.message, sent.compressed);
  const failure = speaker.failure(answer);
  assert.equal(failure.reason, reason, failure.message);
  assert.equal(Code[failure.code], Code[codeOf(reason)]);
  return failure.message;
}

const utf8 = (text: string) => new TextEncoder().encode(text);
/** GetUser takes at most 64 KiB. */
const large = create(GetUserRequestSchema, { userId: "x".repeat(100_000) });

for (const speaker of speakers) {
  describe(`over ${speaker.name}`, () => {
    const { json, proto } = speaker.type;
    let handled = 0;
    const start = () =>
      serverUnderTest({
        identity: {
          getUser: () => {
            handled += 1;
            return {};
          },
        },
      });

    test("malformed JSON is MALFORMED_REQUEST", async () => {
      await using under = await start();
      await expectFailure(
        under,
        speaker,
        { headers: { "content-type": json }, message: utf8('{"user_id":') },
        "MALFORMED_REQUEST",
      );
      const wrongType = { headers: { "content-type": json }, message: utf8('{"user_id": 7}') };
      assert.match(await expectFailure(under, speaker, wrongType, "MALFORMED_REQUEST"), /user_id/);
      assert.ok(
        under.lines.some((line) => line.reason === "MALFORMED_REQUEST"),
        "it is in the access log",
      );
    });

    test("malformed protobuf is MALFORMED_REQUEST", async () => {
      await using under = await start();
      const message = new Uint8Array([0x0a, 0x7f, 0x01]);
      await expectFailure(under, speaker, { headers: { "content-type": proto }, message }, "MALFORMED_REQUEST");
    });

    test("a message above the method's limit is REQUEST_TOO_LARGE", async () => {
      await using under = await start();
      const message = toBinary(GetUserRequestSchema, large);
      const told = await expectFailure(
        under,
        speaker,
        { headers: { "content-type": proto }, message },
        "REQUEST_TOO_LARGE",
      );
      assert.match(told, /65536 bytes/);
    });

    for (const [encoding, compress] of [
      ["gzip", gzipSync],
      ["br", brotliCompressSync],
    ] as const) {
      test(`a small ${encoding} body that decompresses to a huge one is REQUEST_TOO_LARGE`, async () => {
        await using under = await start();
        const message = compress(Buffer.alloc(8_000_000));
        assert.ok(message.byteLength < 60_000);
        const headers = { "content-type": proto, [speaker.encoding]: encoding };
        await expectFailure(under, speaker, { headers, message, compressed: true }, "REQUEST_TOO_LARGE");
      });
    }

    test("damaged compression is MALFORMED_REQUEST, an unknown one UNSUPPORTED_PROTOCOL", async () => {
      await using under = await start();
      const sent = (encoding: string) => ({
        headers: { "content-type": proto, [speaker.encoding]: encoding },
        message: utf8("not compressed at all"),
        compressed: true,
      });
      await expectFailure(under, speaker, sent("gzip"), "MALFORMED_REQUEST");
      await expectFailure(under, speaker, sent("zstd"), "UNSUPPORTED_PROTOCOL");
    });

    test("an unknown method, and an unknown service, are UNKNOWN_METHOD", async () => {
      await using under = await start();
      for (const path of [`${getUser}s`, "/acme.v1.NoSuchService/Do"]) {
        const told = await expectFailure(
          under,
          speaker,
          { path, headers: { "content-type": proto }, message: new Uint8Array() },
          "UNKNOWN_METHOD",
        );
        assert.ok(told.includes(path));
      }
    });

    test("nothing of that reaches a handler", () => assert.equal(handled, 0));
  });
}

describe("what is no call at all", () => {
  const answerOf = async (request: { path: string; method?: string; headers?: Record<string, string> }) => {
    await using under = await serverUnderTest();
    const credentials = Object.fromEntries(await under.fromOutside("ada"));
    return await rawHttp1(under.url, { body: [], ...request, headers: { ...credentials, ...request.headers } });
  };

  test("a content type that nobody speaks is 415 and says what is spoken", async () => {
    const answer = await answerOf({ path: getUser, headers: { "content-type": "text/xml" } });
    assert.equal(answer.status, 415);
    assert.match(connectFailure(answer).message, /application\/json/);
    assert.equal(connectFailure(answer).reason, "UNSUPPORTED_PROTOCOL");
  });

  test("a query that is no base64, and one that is no message, are MALFORMED_REQUEST", async () => {
    for (const query of [
      "encoding=json&base64=1&message=!!!",
      "encoding=proto&base64=1&message=_w",
      "encoding=json&message=%7B",
    ]) {
      const answer = await answerOf({ path: `${getUser}?connect=v1&${query}`, method: "GET" });
      assert.deepEqual([answer.status, connectFailure(answer).reason], [400, "MALFORMED_REQUEST"], query);
    }
  });

  test("a method that is not POST is 405", async () => {
    const answer = await answerOf({ path: "/switchboard.identity.v1.IdentityService/DeleteUser", method: "GET" });
    assert.equal(answer.status, 405);
    assert.match(connectFailure(answer).message, /POST/);
  });

  test("an unknown path is 404 for whoever opens it in a browser", async () => {
    const answer = await answerOf({ path: "/favicon.ico", method: "GET" });
    assert.equal(answer.status, 404);
    assert.equal(connectFailure(answer).reason, "UNKNOWN_METHOD");
  });
});

test("bare errors have a code and a status, and nothing of Switchboard's", async () => {
  await using server = await startServer({
    rpcs: [rpc(IdentityService, {})],
    host: "127.0.0.1",
    port: 0,
    bareErrors: true,
    log: pino({ level: "silent" }),
  });
  const send = (path: string, headers: Record<string, string>) =>
    rawHttp1(`http://${server.address}`, { path, headers, body: [] });
  const unknown = await send(`${getUser}s`, { "content-type": "application/json" });
  const unspoken = await send(getUser, { "content-type": "text/xml" });
  assert.deepEqual([unknown.status, connectFailure(unknown).reason], [404, undefined]);
  assert.equal(connectFailure(unknown).code, Code.Unimplemented);
  assert.deepEqual([unspoken.status, unspoken.headers["content-type"], unspoken.body.length], [415, undefined, 0]);
});

test("a method that the implementation left out is UNKNOWN_METHOD", async () => {
  await using under = await serverUnderTest();
  const client = under.client(IdentityService, "grpc", await under.fromOutside("ada"));
  await assert.rejects(client.getUser({ userId: "me" }), (error) => reasonOf(error) === "UNKNOWN_METHOD");
});

for (const [name, send] of [
  ["HTTP/1.1", rawHttp1],
  ["HTTP/2", rawHttp2],
] as const) {
  test(`a body that never ends is given up at the deadline, over ${name}`, async () => {
    await using under = await serverUnderTest();
    const headers = Object.fromEntries(await under.fromOutside("ada"));
    const answer = await send(under.url, {
      path: getUser,
      headers: { ...headers, "content-type": "application/json", "connect-timeout-ms": "200" },
      body: [utf8('{"user')],
      open: true,
    });
    assert.equal(answer.status, 504);
    assert.equal(connectFailure(answer).reason, "DEADLINE_EXCEEDED");
  });

  test(`who may not call is told before the body is there, over ${name}`, async () => {
    await using under = await serverUnderTest();
    const headers = { "content-type": "application/json" };
    const answer = await send(under.url, { path: getUser, headers, body: [utf8("{")], open: true });
    assert.equal(connectFailure(answer).reason, "SERVICE_TOKEN_INVALID");
  });
}
