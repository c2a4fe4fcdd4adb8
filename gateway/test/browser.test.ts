/** What scripts in a browser need: preflights, headers they may read, and gRPC-Web's text form. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { envelope, rawHttp1 } from "@switchboard/kernel/rpc/test/raw-request";
import { type GatewayUnderTest, gatewayUnderTest } from "./gateway-under-test.ts";
import { ProbeService, TextSchema } from "./probe-service.ts";

const path = (method: string) => `/${ProbeService.typeName}/${method}`;
const origin = "http://localhost:5173";

describe("in a browser", () => {
  let under: GatewayUnderTest;
  before(async () => {
    under = await gatewayUnderTest({
      read({ text }, { responseHeader, responseTrailer }) {
        responseHeader.set("x-own", "1");
        responseHeader.set("vary", "x-tenant");
        responseTrailer.set("own-trailer", "2");
        return { text };
      },
    });
  });
  after(() => under[Symbol.asyncDispose]());

  const preflight = (
    from: string,
    headers = "content-type,x-grpc-web,authorization,x-my-metadata,switchboard-service-token",
  ) =>
    rawHttp1(under.url, {
      method: "OPTIONS",
      path: path("Private"),
      headers: { origin: from, "access-control-request-method": "POST", "access-control-request-headers": headers },
    });

  test("a preflight is answered by the gateway, without a credential", async () => {
    const { status, headers, body } = await preflight(origin);
    assert.equal(status, 204);
    assert.equal(body.length, 0);
    assert.equal(headers["access-control-allow-origin"], origin);
    assert.match(String(headers["access-control-allow-methods"]), /GET.*POST/);
    assert.equal(headers["access-control-allow-headers"], "content-type, x-grpc-web, authorization, x-my-metadata");
    assert.equal(headers.vary, "origin, access-control-request-headers");
    assert.equal(headers["access-control-allow-credentials"], undefined);
  });

  test("another origin gets no permission", async () => {
    for (const other of [
      "https://evil.example",
      "http://localhost.evil.example:80",
      "http://localhost:80.evil.example",
      "null",
    ]) {
      const { headers } = await preflight(other);
      assert.equal(headers["access-control-allow-origin"], undefined, other);
    }
  });

  test("answers and refusals say what scripts may read", async () => {
    const headers = { origin, "content-type": "application/json" };
    const answer = await rawHttp1(under.url, { path: path("Read"), headers, body: [Buffer.from("{}")] });
    assert.equal(answer.headers["access-control-allow-origin"], origin);
    assert.equal(answer.headers.vary, "x-tenant, origin");
    const exposed = String(answer.headers["access-control-expose-headers"]).split(", ");
    for (const name of [
      "grpc-status",
      "grpc-message",
      "grpc-status-details-bin",
      "x-request-id",
      "ratelimit",
      "x-own",
      "trailer-own-trailer",
    ]) {
      assert.ok(exposed.includes(name), name);
    }
    const refusal = await rawHttp1(under.url, { path: path("Private"), headers, body: [Buffer.from("{}")] });
    assert.equal(refusal.status, 401);
    assert.equal(refusal.headers["www-authenticate"], "Bearer");
    assert.equal(refusal.headers["access-control-allow-origin"], origin);
  });

  test("gRPC-Web's text form, answers, errors and streams", async () => {
    const headers = { "content-type": "application/grpc-web-text", "x-grpc-web": "1" };
    const message = envelope(toBinary(TextSchema, { $typeName: "test.probe.v1.Text", text: "hallo" }));
    const base64 = message.toString("base64");
    const call = async (method: string) => {
      const { body, ...answer } = await rawHttp1(under.url, {
        path: path(method),
        headers,
        body: [Buffer.from(base64.slice(0, 5)), Buffer.from(base64.slice(5))],
      });
      const runs = body.toString().split(/(?<==)(?!=)/);
      return { ...answer, bytes: Buffer.concat(runs.map((run) => Buffer.from(run, "base64"))) };
    };
    const read = await call("Read");
    assert.equal(read.headers["content-type"], "application/grpc-web-text+proto");
    const length = read.bytes.readUInt32BE(1);
    assert.equal(fromBinary(TextSchema, read.bytes.subarray(5, 5 + length)).text, "hallo");
    assert.match(read.bytes.subarray(5 + length).toString("latin1"), /^\x80.*grpc-status: 0/s);
    assert.match((await call("Watch")).bytes.toString("latin1"), /hallo1.*hallo2.*hallo3.*grpc-status: 0/s);
    assert.match((await call("Private")).bytes.toString("latin1"), /grpc-status: 16/);
  });
});
