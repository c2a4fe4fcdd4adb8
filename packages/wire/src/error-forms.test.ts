import assert from "node:assert/strict";
import { test } from "node:test";
import { errorAnswer, errorEnding } from "./error-forms.ts";
import { detectProtocol } from "./protocol.ts";
import { encodeStatus, type WireError } from "./status.ts";
import { percentEncode } from "./trailers.ts";

const error: WireError = {
  code: 7,
  message: "nø: 100%",
  details: [{ type: "google.rpc.ErrorInfo", value: Uint8Array.of(0x0a, 0x01, 0x58) }],
};
const protocol = (contentType: string) => detectProtocol("POST", contentType, "");
/** google.rpc.Status by hand: code 7, the message, one Any. */
const status =
  "08071209 6ec3b83a2031303025 1a2f 0a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e4572726f72496e666f 1203 0a0158";

test("google.rpc.Status is encoded as protobuf would", () => {
  assert.equal(Buffer.from(encodeStatus(error)).toString("hex"), status.replaceAll(" ", ""));
  const long = encodeStatus({ code: 1, message: "x".repeat(300), details: [] });
  assert.equal(Buffer.from(long.subarray(0, 5)).toString("hex"), "08011 2ac02".replace(" ", ""));
});

test("Connect unary: the HTTP status and JSON", () => {
  const answer = errorAnswer(protocol("application/proto"), error);
  assert.equal(answer.status, 403);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.deepEqual(JSON.parse(Buffer.from(answer.body).toString()), {
    code: "permission_denied",
    message: "nø: 100%",
    details: [{ type: "google.rpc.ErrorInfo", value: "CgFY" }],
  });
  assert.equal(errorAnswer(protocol("application/json"), error, 404).status, 404);
  assert.equal(errorEnding(protocol("application/json"), error), undefined);
});

test("Connect streams: the last envelope", () => {
  const { status, headers, body } = errorAnswer(protocol("application/connect+json"), error);
  assert.deepEqual([status, headers["content-type"], body[0]], [200, "application/connect+json", 2]);
  assert.equal(JSON.parse(Buffer.from(body.subarray(5)).toString()).error.code, "permission_denied");
  assert.deepEqual(errorEnding(protocol("application/connect+json"), error)?.bytes, body);
});

test("gRPC: trailers only, or trailers", () => {
  const { status, headers, body } = errorAnswer(protocol("application/grpc"), error);
  assert.deepEqual([status, body.length, headers["grpc-status"]], [200, 0, "7"]);
  assert.equal(headers["grpc-message"], "n%C3%B8: 100%25");
  assert.match(headers["grpc-status-details-bin"] ?? "", /^CAcS[^=]*$/);
  assert.equal(errorEnding(protocol("application/grpc"), error)?.trailers?.["grpc-status"], "7");
});

test("gRPC-Web: the trailer frame", () => {
  const { status, body } = errorAnswer(protocol("application/grpc-web"), error);
  assert.deepEqual([status, body[0]], [200, 0x80]);
  assert.match(Buffer.from(body.subarray(5)).toString(), /^grpc-status: 7\r\ngrpc-message: n%C3%B8: 100%25\r\n/);
});

test("nobody can break out of a header through a message", () => {
  assert.equal(percentEncode("a\r\nb: c\0"), "a%0D%0Ab: c%00");
  assert.equal(percentEncode("plain ASCII ~"), "plain ASCII ~");
});
