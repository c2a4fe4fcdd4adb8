import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ReasonName } from "@switchboard/contract/app-error";
import { FORWARDED, SERVICE_TOKEN } from "@switchboard/contract/headers";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { testTokens } from "@switchboard/testkit/tokens";
import { type Call, callOf } from "../call.ts";
import { reasonOf } from "../errors.ts";
import { type ServerUnderTest, serverUnderTest } from "../test/server-under-test.ts";

/** A server whose handlers keep the calls that reach them. */
async function start(): Promise<{ under: ServerUnderTest; calls: Call[] }> {
  const calls: Call[] = [];
  const keep = (_: unknown, context: Parameters<typeof callOf>[0]) => {
    calls.push(callOf(context));
    return {};
  };
  const under = await serverUnderTest({
    identity: { getUser: keep },
    auth: {
      signIn: keep,
      listSessions: keep,
      exchangeApiKey: keep,
      getJwks: keep,
      issueServiceToken: keep,
    },
  });
  return { under, calls };
}

const refused = (call: Promise<unknown>, reason: ReasonName) =>
  assert.rejects(call, (error) => {
    assert.equal(reasonOf(error), reason, String(error));
    return true;
  });

/** Forged with nothing but base64: `alg: none`. */
function unsigned(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none", typ: "at+jwt" })}.${part(claims)}.`;
}

describe("a call without a good service token is refused:", () => {
  const cases: readonly [string, (under: ServerUnderTest) => Promise<Headers>][] = [
    ["none", async () => new Headers()],
    ["nonsense", async () => new Headers({ [SERVICE_TOKEN]: "nonsense" })],
    ["a user's access token", async ({ tokens }) => new Headers({ [SERVICE_TOKEN]: await tokens.accessToken("ada") })],
    [
      "an expired one",
      async ({ tokens }) => new Headers({ [SERVICE_TOKEN]: await tokens.serviceToken("gateway", { ttlMs: -91_000 }) }),
    ],
    [
      "another platform's",
      async () => new Headers({ [SERVICE_TOKEN]: await (await testTokens()).serviceToken("gateway") }),
    ],
    [
      "of another audience",
      async ({ tokens }) =>
        new Headers({ [SERVICE_TOKEN]: await tokens.serviceToken("gateway", { claims: { aud: "switchboard" } }) }),
    ],
    [
      "for no service",
      async ({ tokens }) =>
        new Headers({ [SERVICE_TOKEN]: await tokens.serviceToken("x", { claims: { sub: "gateway" } }) }),
    ],
  ];
  for (const [name, headersOf] of cases) {
    test(name, async () => {
      const { under, calls } = await start();
      await using _ = under;
      const headers = await headersOf(under);
      headers.set("authorization", `Bearer ${await under.tokens.accessToken("ada")}`);
      await refused(under.client(IdentityService, "grpc", headers).getUser({ userId: "me" }), "SERVICE_TOKEN_INVALID");
      assert.deepEqual(calls, []);
      const [record] = under.records;
      assert.equal(record?.outcome, Outcome.DENIED);
      assert.equal(record?.reason, "SERVICE_TOKEN_INVALID");
      assert.equal(record?.method, "switchboard.identity.v1.IdentityService/GetUser");
    });
  }
});

describe("a bad access token is refused:", () => {
  type Tokens = ServerUnderTest["tokens"];
  const cases: readonly [string, (tokens: Tokens) => Promise<string> | string, ReasonName][] = [
    ["expired", (t) => t.accessToken("ada", { ttlMs: -91_000 }), "TOKEN_EXPIRED"],
    ["forged", async (t) => `${(await t.accessToken("ada")).slice(0, -6)}AAAAAA`, "TOKEN_INVALID"],
    ["alg none", () => unsigned({ iss: "switchboard", aud: "switchboard", sub: "ada", exp: 9e9 }), "TOKEN_INVALID"],
    ["another audience", (t) => t.accessToken("ada", { claims: { aud: "elsewhere" } }), "TOKEN_INVALID"],
    ["no audience", (t) => t.accessToken("ada", { claims: { aud: undefined } }), "TOKEN_INVALID"],
    ["another issuer", (t) => t.accessToken("ada", { claims: { iss: "elsewhere" } }), "TOKEN_INVALID"],
    ["another type", (t) => t.accessToken("ada", { header: { typ: "JWT" } }), "TOKEN_INVALID"],
    ["a service token", (t) => t.serviceToken("identity"), "TOKEN_INVALID"],
    ["an unknown key", (t) => t.accessToken("ada", { header: { kid: "other" } }), "TOKEN_INVALID"],
    ["without a session", (t) => t.accessToken("ada", { claims: { sid: undefined } }), "TOKEN_INVALID"],
    ["without an end", (t) => t.accessToken("ada", { claims: { exp: undefined } }), "TOKEN_INVALID"],
    ["an API key", () => "sbk_0123456789", "TOKEN_INVALID"],
    ["as long as a book", () => "x".repeat(5_000), "TOKEN_INVALID"],
    ["empty", () => "", "TOKEN_INVALID"],
  ];
  for (const [name, tokenOf, reason] of cases) {
    test(name, async () => {
      const { under, calls } = await start();
      await using _ = under;
      const headers = await under.fromOutside();
      headers.set("authorization", `Bearer ${await tokenOf(under.tokens)}`);
      const client = under.client(IdentityService, "connect over h2c", headers);
      await refused(client.getUser({ userId: "me" }), reason);
      await refused(client.getUser({ userId: "me" }), reason);
      assert.deepEqual(calls, []);
    });
  }

  test("revoked, from the moment on that this is known", async () => {
    const { under } = await start();
    await using _ = under;
    const client = under.client(IdentityService, "grpc", await under.fromOutside("ada"));
    await client.getUser({ userId: "me" });
    under.revoked.add("session-of-ada");
    await refused(client.getUser({ userId: "me" }), "CREDENTIAL_REVOKED");
  });

  test("but what is public stays open to its owner, as nobody", async () => {
    const { under, calls } = await start();
    await using _ = under;
    const headers = await under.fromOutside();
    headers.set("authorization", `Bearer ${await under.tokens.accessToken("ada", { ttlMs: -91_000 })}`);
    await under.client(AuthService, "grpc", headers).signIn({});
    assert.equal(calls[0]?.actor, "anonymous");
  });
});

describe("who calls:", () => {
  test("from outside without a token, nobody: what takes a user is refused, what is public is not", async () => {
    const { under, calls } = await start();
    await using _ = under;
    const client = under.client(AuthService, "grpc", await under.fromOutside());
    await refused(client.listSessions({}), "CREDENTIAL_MISSING");
    await client.signIn({});
    assert.equal(calls.length, 1);
    assert.equal(calls[0]?.actor, "anonymous");
    assert.equal(calls[0]?.callingService, "gateway");
  });

  test("a service without a user is itself, the gateway's own calls included", async () => {
    const { under, calls } = await start();
    await using _ = under;
    for (const name of ["auth", "gateway"]) {
      await under.client(AuthService, "grpc", await under.fromService(name)).exchangeApiKey({});
    }
    assert.deepEqual(
      calls.map((call) => [call.actor, call.accessToken]),
      [
        ["service:auth", undefined],
        ["service:gateway", undefined],
      ],
    );
  });

  test("a service with a user's token beside its own is the user, and can pass the token on", async () => {
    const { under, calls } = await start();
    await using _ = under;
    const headers = await under.fromService("notes");
    const token = await under.tokens.accessToken("ada", { claims: { via: "api_key" } });
    headers.set("authorization", `bearer ${token}`);
    await under.client(IdentityService, "grpc", headers).getUser({ userId: "me" });
    const [call] = calls;
    assert.equal(call?.accessToken, token);
    assert.equal(call?.callingService, "notes");
    assert.deepEqual(call?.principal, {
      kind: "user",
      subject: "user:ada",
      userId: "ada",
      credentialId: "session-of-ada",
      viaApiKey: true,
    });
  });

  test("the caller's address is believed beside a service token only", async () => {
    const { under, calls } = await start();
    await using _ = under;
    const address = { "switchboard-client-address": "192.0.2.7" };
    const trusted = await under.fromService("gateway");
    trusted.set("switchboard-client-address", "192.0.2.7");
    await under.client(AuthService, "grpc", trusted).getJwks({});
    await under.client(AuthService, "grpc", new Headers(address)).getJwks({});
    assert.deepEqual(
      calls.map((call) => call.clientAddress),
      ["192.0.2.7", ""],
    );
  });
});

describe("an INTERNAL method", () => {
  test("does not exist for calls from outside, signed in or not", async () => {
    const { under, calls } = await start();
    await using _ = under;
    for (const headers of [
      await under.fromOutside(),
      await under.fromOutside("ada"),
      new Headers({ [FORWARDED]: "1" }),
    ]) {
      const client = under.client(AuthService, "grpc", headers);
      await refused(client.exchangeApiKey({}), "UNKNOWN_METHOD");
      await refused(client.issueServiceToken({}), "UNKNOWN_METHOD");
    }
    assert.deepEqual(calls, []);
    assert.ok(under.records.every(({ outcome }) => outcome === Outcome.DENIED));
  });

  test("takes a service token, unless it is how one is had", async () => {
    const { under } = await start();
    await using _ = under;
    const nobody = under.client(AuthService, "grpc");
    await refused(nobody.exchangeApiKey({}), "SERVICE_TOKEN_INVALID");
    await nobody.issueServiceToken({});
    const expired = await under.tokens.serviceToken("identity", { ttlMs: -91_000 });
    await under.client(AuthService, "grpc", new Headers({ [SERVICE_TOKEN]: expired })).issueServiceToken({});
  });
});

test("a call goes on in its caller's trace and under its request id; made-up ones are replaced", async () => {
  const { under, calls } = await start();
  await using _ = under;
  const headers = await under.fromService("gateway");
  headers.set("traceparent", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`);
  headers.set("x-request-id", "req-7");
  await under.client(AuthService, "grpc", headers).getJwks({});
  headers.set("traceparent", "00-0-0-0");
  headers.set("x-request-id", "two words");
  await under.client(AuthService, "grpc", headers).getJwks({});
  const [first, second] = calls;
  assert.equal(first?.trace.traceId, "a".repeat(32));
  assert.notEqual(first?.trace.spanId, "b".repeat(16));
  assert.equal(first?.requestId, "req-7");
  assert.match(second?.trace.traceId ?? "", /^[0-9a-f]{32}$/);
  assert.match(second?.requestId ?? "", /^[0-9a-f-]{36}$/);
});
