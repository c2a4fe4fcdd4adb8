/** What the gateway answers itself is refused, when it cannot be read, as every service refuses it: with code and reason. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";
import type { ReasonName } from "@switchboard/contract/app-error";
import { ErrorInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { StatusSchema } from "@switchboard/gen/google/rpc/status_pb";
import { reasonOf } from "@switchboard/kernel/rpc/errors";
import { envelope, type RawAnswer, rawHttp1, rawHttp2 } from "@switchboard/kernel/rpc/test/raw-request";
import { type GatewayUnderTest, gatewayUnderTest } from "./gateway-under-test.ts";
import { ProbeService } from "./probe-service.ts";

const unary = {
  GatewayService: "/switchboard.gateway.v1.GatewayService/ListRoutes",
  Health: "/grpc.health.v1.Health/Check",
  "a service": `/${ProbeService.typeName}/Read`,
};
const streaming = {
  reflection: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "a service": `/${ProbeService.typeName}/Chat`,
};
const utf8 = (text: string) => Buffer.from(text);
const base64 = (bytes: Buffer) => utf8(bytes.toString("base64"));
/** A field of 127 bytes that has one. */
const torn = Buffer.from([0x0a, 0x7f, 0x01]);
const huge = utf8(JSON.stringify({ ["x".repeat(2_000_000)]: 1 }));
/** Larger than every limit once decompressed. */
const bomb = gzipSync(Buffer.alloc(8_000_000));

describe("not to be read:", { timeout: 30_000 }, () => {
  let under: GatewayUnderTest;
  let authorization: string;
  before(async () => {
    under = await gatewayUnderTest({});
    authorization = `Bearer ${await under.tokens.accessToken("admin")}`;
  });
  after(() => under[Symbol.asyncDispose]());

  const told = (answer: RawAnswer): { code: string; reason: string | undefined } => {
    const type = String(answer.headers["content-type"]);
    if (type === "application/json" || type.startsWith("application/connect+")) {
      const json = JSON.parse(String(type === "application/json" ? answer.body : answer.body.subarray(5)));
      const error = errorFromJson(json.error ?? json, undefined, {} as never);
      return { code: Code[error.code] ?? "", reason: reasonOf(error) };
    }
    const frame = type.includes("-text") ? Buffer.from(String(answer.body), "base64") : answer.body;
    const inBody = Object.fromEntries(
      String(frame.subarray(5))
        .split("\r\n")
        .map((line) => line.split(/: ?/, 2)),
    );
    const trailers = { ...inBody, ...answer.headers, ...answer.trailers };
    const { details } = fromBinary(StatusSchema, Buffer.from(String(trailers["grpc-status-details-bin"]), "base64"));
    const info = details.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find(Boolean);
    return { code: Code[Number(trailers["grpc-status"])] ?? "", reason: info?.reason };
  };

  const cases: [name: string, headers: Record<string, string>, body: Buffer, code: string, reason: ReasonName][] = [
    ["JSON", { "content-type": "application/json" }, utf8("{"), "InvalidArgument", "MALFORMED_REQUEST"],
    ["protobuf", { "content-type": "application/proto" }, torn, "InvalidArgument", "MALFORMED_REQUEST"],
    ["gRPC", { "content-type": "application/grpc" }, envelope(torn), "InvalidArgument", "MALFORMED_REQUEST"],
    ["gRPC-Web", { "content-type": "application/grpc-web" }, envelope(torn), "InvalidArgument", "MALFORMED_REQUEST"],
    [
      "gRPC-Web-text",
      { "content-type": "application/grpc-web-text" },
      base64(envelope(torn)),
      "InvalidArgument",
      "MALFORMED_REQUEST",
    ],
    [
      "no base64",
      { "content-type": "application/grpc-web-text" },
      utf8("!!!!"),
      "InvalidArgument",
      "MALFORMED_REQUEST",
    ],
    [
      "half base64",
      { "content-type": "application/grpc-web-text" },
      utf8("AAA"),
      "InvalidArgument",
      "MALFORMED_REQUEST",
    ],
    [
      "a bomb",
      { "content-type": "application/proto", "content-encoding": "gzip" },
      bomb,
      "ResourceExhausted",
      "REQUEST_TOO_LARGE",
    ],
    [
      "an unknown compression",
      { "content-type": "application/proto", "content-encoding": "zstd" },
      torn,
      "Unimplemented",
      "UNSUPPORTED_PROTOCOL",
    ],
  ];
  for (const [whom, path] of Object.entries(unary)) {
    for (const [name, headers, body, code, reason] of cases) {
      test(`${name}, for ${whom}`, async () => {
        for (const send of [rawHttp1, rawHttp2]) {
          const answer = await send(under.url, { path, headers: { authorization, ...headers }, body: [body] });
          assert.deepEqual(told(answer), { code, reason });
        }
      });
    }
    test(`the wrong kind of call, for ${whom}`, async () => {
      const headers = { authorization, "content-type": "application/connect+json" };
      const answer = await rawHttp1(under.url, { path, headers, body: [envelope(utf8("{}"))] });
      assert.deepEqual([answer.status, told(answer).reason], [415, "UNSUPPORTED_PROTOCOL"]);
    });
  }
  for (const whom of ["GatewayService", "Health"] as const) {
    test(`JSON that is too large, for ${whom}`, async () => {
      const headers = { authorization, "content-type": "application/json" };
      const answer = await rawHttp2(under.url, { path: unary[whom], headers, body: [huge] });
      assert.deepEqual(told(answer), { code: "ResourceExhausted", reason: "REQUEST_TOO_LARGE" });
    });
  }
  for (const [whom, path] of Object.entries(streaming)) {
    test(`a stream's message, and the wrong kind of call, for ${whom}`, async () => {
      const torrent = { authorization, "content-type": "application/grpc" };
      const answer = await rawHttp2(under.url, { path, headers: torrent, body: [envelope(torn)] });
      assert.deepEqual(told(answer), { code: "InvalidArgument", reason: "MALFORMED_REQUEST" });
      const headers = { authorization, "content-type": "application/json" };
      const other = await rawHttp1(under.url, { path, headers, body: [utf8("{}")] });
      assert.deepEqual([other.status, told(other).reason], [415, "UNSUPPORTED_PROTOCOL"]);
    });
  }

  test("a query that is no base64", async () => {
    for (const query of ["encoding=json&base64=1&message=!!!", "encoding=proto&base64=1&message=_w"]) {
      const answer = await rawHttp1(under.url, { method: "GET", path: `${unary["a service"]}?connect=v1&${query}` });
      assert.deepEqual([answer.status, told(answer).reason], [400, "MALFORMED_REQUEST"], query);
    }
  });
});
