/** What may not pass: each is refused with the right code, in the caller's own protocol, before a handler runs. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { toBinary } from "@bufbuild/protobuf";
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import { envelope, rawHttp1, rawHttp2 } from "@switchboard/kernel/rpc/test/raw-request";
import { eventually } from "@switchboard/testkit/eventually";
import { refused } from "@switchboard/testkit/refused";
import { testTokens } from "@switchboard/testkit/tokens";
import { type GatewayUnderTest, gatewayUnderTest, texts } from "./gateway-under-test.ts";
import { type ProbeInstance, ProbeService, startProbe, TextSchema } from "./probe-service.ts";
import { PROTOCOLS } from "./transports.ts";

const path = (method: string) => `/${ProbeService.typeName}/${method}`;
const json = { "content-type": "application/json" };

describe("refused", () => {
  let under: GatewayUnderTest;
  let probe: ProbeInstance;
  before(async () => {
    under = await gatewayUnderTest();
    probe = await under.probe();
    await under.routed();
  });
  after(() => under[Symbol.asyncDispose]());

  for (const protocol of PROTOCOLS) {
    test(`over ${protocol}: no credential, no permission, unknown, too large`, async () => {
      const client = under.client(protocol);
      const { accessToken } = under.tokens;
      const asAda = under.client(protocol, { authorization: `Bearer ${await accessToken("ada")}` });
      const asAdmin = under.client(protocol, { authorization: `Bearer ${await accessToken("admin")}` });
      const count = probe.calls.length;
      await refused("CREDENTIAL_MISSING", client.private({ text: "x" }));
      await refused("CREDENTIAL_MISSING", Array.fromAsync(client.privateWatch({ text: "x" })));
      await refused("PERMISSION_DENIED", asAda.admin({ text: "x" }));
      await refused("UNKNOWN_METHOD", client.inside({ text: "x" }));
      await refused("UNKNOWN_METHOD", client.loose({ text: "x" }));
      await refused("REQUEST_TOO_LARGE", client.put({ text: "x".repeat(2_000) }));
      await refused("REQUEST_TOO_LARGE", client.upload(texts("x", "x".repeat(2_000))));
      assert.equal(probe.calls.slice(count).filter((name) => name !== "Upload").length, 0);
      assert.equal((await asAda.private({ text: "y" })).text, "y");
      assert.equal((await asAdmin.admin({ text: "z" })).text, "z");
    });
  }

  test("tokens that are not good", async () => {
    const { accessToken, serviceToken } = under.tokens;
    const strangers = await testTokens();
    const [head, body] = (await accessToken("ada")).split(".");
    const none = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url")}.${body}.`;
    const cases: [name: string, token: string, reason: ReasonName][] = [
      ["expired", await accessToken("ada", { ttlMs: -600_000 }), "TOKEN_EXPIRED"],
      ["forged", await strangers.accessToken("ada"), "TOKEN_INVALID"],
      ["unsigned", none, "TOKEN_INVALID"],
      ["cut", `${head}.${body}`, "TOKEN_INVALID"],
      ["another audience", await accessToken("ada", { claims: { aud: "elsewhere" } }), "TOKEN_INVALID"],
      ["another type", await accessToken("ada", { header: { typ: "JWT" } }), "TOKEN_INVALID"],
      ["another issuer", await accessToken("ada", { claims: { iss: "somebody" } }), "TOKEN_INVALID"],
      ["a service's token", await serviceToken("identity"), "TOKEN_INVALID"],
      ["nonsense", "nonsense", "TOKEN_INVALID"],
    ];
    for (const [name, token, reason] of cases) {
      const headers = { authorization: `Bearer ${token}` };
      await refused(reason, under.client("connect", headers).private({})).catch((error: unknown) => {
        throw new Error(name, { cause: error });
      });
      // On a public method a useless credential counts as none.
      assert.equal((await under.client("grpc", headers).read({ text: name })).text, name);
    }
    await refused("TOKEN_INVALID", under.client("grpc", { authorization: "Basic YTpi" }).private({}));
  });

  test("a revoked session", async () => {
    const authorization = `Bearer ${await under.tokens.accessToken("eve")}`;
    assert.equal((await under.client("connect", { authorization }).private({ text: "x" })).text, "x");
    under.revoked.add("session-of-eve");
    await refused("CREDENTIAL_REVOKED", under.client("connect", { authorization }).private({}));
    await eventually(() => {
      const told = under.records.filter(({ reason }) => reason === "CREDENTIAL_REVOKED");
      assert.equal(told[0]?.method, `${ProbeService.typeName}/Private`);
    });
  });

  test("internal and unknown methods cannot be told apart", async () => {
    for (const headers of [json, { "content-type": "application/connect+json" }, { "content-type": "text/plain" }]) {
      const inside = await rawHttp1(under.url, { path: path("Inside"), headers, body: [Buffer.from("{}")] });
      const unknown = await rawHttp1(under.url, { path: path("Beside"), headers, body: [Buffer.from("{}")] });
      const shown = ({ status, body }: typeof inside) => [
        status,
        body.toString("latin1").replaceAll(/"details.*/g, ""),
      ];
      assert.deepEqual(
        shown(inside).map(String),
        shown(unknown).map((text) => String(text).replace("Beside", "Inside")),
      );
    }
    const unary = await rawHttp1(under.url, { path: path("Inside"), headers: json, body: [Buffer.from("{}")] });
    assert.equal(unary.status, 404);
    assert.equal(JSON.parse(unary.body.toString()).code, "unimplemented");
    const grpc = await rawHttp2(under.url, { path: path("Inside"), headers: { "content-type": "application/grpc" } });
    assert.equal(grpc.headers["grpc-status"], "12");
    assert.ok(under.records.some(({ method, reason }) => method.endsWith("/Inside") && reason === "UNKNOWN_METHOD"));
    assert.ok(
      !under.records.some(({ method }) => method.endsWith("/Beside")),
      "scans are not the audit log's business",
    );
  });

  test("wrong content types and HTTP methods", async () => {
    const text = await rawHttp1(under.url, { path: path("Read"), headers: { "content-type": "text/plain" }, body: [] });
    assert.equal(text.status, 415);
    assert.equal(JSON.parse(text.body.toString()).details[0].type, "google.rpc.ErrorInfo");
    assert.match(String(text.headers["accept-post"]), /application\/grpc/);
    const put = await rawHttp1(under.url, { method: "PUT", path: path("Read"), headers: json, body: [] });
    assert.deepEqual([put.status, put.headers.allow], [405, "GET, POST"]);
    const query = "?connect=v1&encoding=json&message=%7B%22text%22%3A%22got%22%7D";
    const write = await rawHttp1(under.url, { method: "GET", path: path("Write") + query });
    assert.deepEqual([write.status, write.headers.allow], [405, "POST"]);
    const read = await rawHttp1(under.url, { method: "GET", path: path("Read") + query });
    assert.deepEqual([read.status, read.body.toString()], [200, '{"text":"got"}']);
  });

  test("malformed JSON, protobuf and envelopes", async () => {
    const badJson = await rawHttp1(under.url, { path: path("Read"), headers: json, body: [Buffer.from("{nonsense")] });
    assert.deepEqual([badJson.status, JSON.parse(badJson.body.toString()).code], [400, "invalid_argument"]);
    const badProto = await rawHttp1(under.url, {
      path: path("Read"),
      headers: { "content-type": "application/proto" },
      body: [Buffer.from([0xff, 0xff])],
    });
    assert.deepEqual([badProto.status, JSON.parse(badProto.body.toString()).code], [400, "invalid_argument"]);
    const badEnvelope = await rawHttp2(under.url, {
      path: path("Write"),
      headers: { "content-type": "application/grpc", te: "trailers" },
      body: [Buffer.from([0, 0, 0, 0, 9, 1])],
    });
    assert.equal(badEnvelope.headers["grpc-status"] ?? badEnvelope.trailers["grpc-status"], "3");
    const badTimeout = await rawHttp1(under.url, {
      path: path("Read"),
      headers: { ...json, "connect-timeout-ms": "soon" },
    });
    assert.equal(badTimeout.status, 400);
  });

  test("a body larger than the method takes, announced, chunked, in an envelope, and compressed", async () => {
    const large = Buffer.from(JSON.stringify({ text: "x".repeat(100_000) }));
    const announced = await rawHttp1(under.url, {
      path: path("Put"),
      headers: { ...json, "content-length": String(large.length) },
      body: [large],
    });
    const chunked = await rawHttp1(under.url, { path: path("Put"), headers: json, body: [large, large] });
    const zipped = gzipSync(Buffer.from(JSON.stringify({ text: "x".repeat(1_000_000) })), { level: 9 });
    const bomb = await rawHttp1(under.url, {
      path: path("Put"),
      headers: { ...json, "content-encoding": "gzip" },
      body: [zipped],
    });
    for (const { status, body } of [announced, chunked, bomb]) {
      assert.equal(status, 429);
      assert.equal(JSON.parse(body.toString()).code, "resource_exhausted");
    }
    // The decompressed size is the service's to see: a small message with a large inside.
    const small = gzipSync(
      Buffer.from(toBinary(TextSchema, { $typeName: "test.probe.v1.Text", text: "x".repeat(50_000) })),
    );
    assert.ok(small.length < 1_000);
    const inside = await rawHttp2(under.url, {
      path: path("Put"),
      headers: { "content-type": "application/grpc", "grpc-encoding": "gzip", te: "trailers" },
      body: [envelope(small, 1)],
    });
    assert.equal(inside.headers["grpc-status"] ?? inside.trailers["grpc-status"], "8");
    const endless = await rawHttp2(under.url, {
      path: path("Put"),
      headers: { "content-type": "application/grpc", te: "trailers" },
      body: [Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1])],
      open: true,
    });
    assert.equal(endless.headers["grpc-status"], "8");
  });

  test("headers larger than the limit", async () => {
    const one = await rawHttp1(under.url, { path: path("Read"), headers: { ...json, "x-large": "x".repeat(20_000) } });
    assert.equal(one.status, 431);
    const two = await rawHttp2(under.url, {
      path: path("Read"),
      headers: { "content-type": "application/grpc", "x-large": "x".repeat(20_000) },
    });
    assert.equal(two.headers["grpc-status"], "8");
  });

  test("a method whose check cannot be answered is unavailable, never allowed", async () => {
    await using closed = await gatewayUnderTest(
      {},
      {
        authorizer: {
          check: () => Promise.reject(new AppError("AUTHZ_UNAVAILABLE", "permissions cannot be checked at the moment")),
        },
      },
    );
    const authorization = `Bearer ${await closed.tokens.accessToken("admin")}`;
    await refused("AUTHZ_UNAVAILABLE", closed.client("grpc", { authorization }).admin({}));
  });

  test("a service that claims another's package is not routed to", async () => {
    await using impostor = await startProbe(under.verifier, { read: () => ({ text: "stolen" }) }, { id: "impostor" });
    under.registry.set(probe.instance, { ...impostor.instance, service: "zzz" });
    await eventually(() => assert.deepEqual(under.gateway.problem(), undefined));
    assert.equal((await under.client().read({ text: "mine" })).text, "mine");
    under.registry.set(probe.instance);
  });
});
