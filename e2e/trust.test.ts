/** What the outside tries, and what it gets: the right code and reason, in its own protocol, and nothing half done. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { startTestPlatform, type TestPlatform } from "@switchboard/testkit/platform";
import { testTokens } from "@switchboard/testkit/tokens";
import { adminToken, clientOf, outcomeOf, PROTOCOLS, signUp } from "./client.ts";

describe("from outside", () => {
  let platform: TestPlatform;
  before(async () => {
    platform = await startTestPlatform();
  });
  after(() => platform[Symbol.asyncDispose]());

  const getMe = "/switchboard.identity.v1.IdentityService/GetUser";
  const post = (path: string, body: BodyInit, headers: Record<string, string> = {}) =>
    fetch(`${platform.url}${path}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });

  for (const protocol of PROTOCOLS) {
    test(`tokens that are not good, over ${protocol}`, async () => {
      const forger = await testTokens();
      const { token, userId } = await signUp(platform.url, "Ada");
      const [head = "", body = "", signature = ""] = token.split(".");
      const none = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt" })).toString("base64url");
      const bad = {
        "signed by somebody else": await forger.accessToken(userId),
        "alg none": `${none}.${body}.`,
        "another body": `${head}.${Buffer.from(JSON.stringify({ sub: "x" })).toString("base64url")}.${signature}`,
        "a service token": await forger.serviceToken("identity"),
        "no token at all": "rubbish",
        "an API key nobody has": "sbk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      };
      for (const [name, credential] of Object.entries(bad)) {
        const call = clientOf(IdentityService, platform.url, { token: credential, protocol }).getUser({ userId: "me" });
        assert.match(await outcomeOf(call), /^unauthenticated (TOKEN_INVALID|API_KEY_INVALID)$/, name);
      }
    });

    test(`what is internal does not exist, over ${protocol}`, async () => {
      const auth = clientOf(AuthService, platform.url, { protocol, token: await adminToken(platform.url) });
      const internal = await outcomeOf(auth.issueServiceToken({ service: "identity", secret: "x" }));
      assert.equal(internal, "unimplemented UNKNOWN_METHOD");
      assert.equal(await outcomeOf(auth.listRevocations({})), internal);
    });

    test(`internal headers are worth nothing, over ${protocol}`, async () => {
      const headers = {
        "switchboard-service-token": await (await testTokens()).serviceToken("auth"),
        "switchboard-client-address": "10.0.0.1",
        "switchboard-principal": "service:auth",
      };
      const identity = clientOf(IdentityService, platform.url, { protocol, headers });
      assert.equal(await outcomeOf(identity.getUser({ userId: "me" })), "unauthenticated CREDENTIAL_MISSING");
    });
  }

  test("a service that is called past the gateway refuses what has no service token", async () => {
    const admin = await adminToken(platform.url);
    const { GatewayService } = await import("@switchboard/gen/switchboard/gateway/v1/gateway_service_pb");
    const { instances } = await clientOf(GatewayService, platform.url, { token: admin }).listInstances({});
    for (const { service, address } of instances.filter((instance) => instance.service !== "gateway")) {
      const direct = clientOf(IdentityService, `http://${address}`, { token: admin, protocol: "grpc" });
      const outcome = await outcomeOf(direct.getUser({ userId: "me" }));
      const expected = service === "identity" ? "unauthenticated SERVICE_TOKEN_INVALID" : "unimplemented";
      assert.ok(outcome.startsWith(expected), `${service}: ${outcome}`);
    }
  });

  test("bytes that are no message", async () => {
    const { token } = await signUp(platform.url, "Ada");
    const authorization = { authorization: `Bearer ${token}` };
    const json = await post(getMe, "{", authorization);
    assert.equal(json.status, 400);
    assert.equal(((await json.json()) as { code: string }).code, "invalid_argument");
    const proto = await post(getMe, Uint8Array.of(0xff, 0xff), {
      ...authorization,
      "content-type": "application/proto",
    });
    assert.equal(proto.status, 400);
    const unknownType = await post(getMe, "a=b", { ...authorization, "content-type": "text/plain" });
    assert.equal(unknownType.status, 415);
    const unknownMethod = await post("/switchboard.identity.v1.IdentityService/Nothing", "{}", authorization);
    assert.equal(unknownMethod.status, 404);
    assert.equal(((await unknownMethod.json()) as { code: string }).code, "unimplemented");
  });

  test("a duplicate in another letter case, an old etag, a page token of another list", async () => {
    const { url } = platform;
    const ada = await signUp(url, "Ada");
    const again = clientOf(AuthService, url).signUp({
      email: ada.email.toUpperCase(),
      password: ada.password,
      displayName: "Ada",
    });
    assert.equal(await outcomeOf(again), "already_exists ALREADY_EXISTS");

    const own = clientOf(IdentityService, url, { token: ada.token });
    const { user } = await own.getUser({ userId: "me" });
    const change = { user: { userId: "me", displayName: "Ada L.", etag: user?.etag ?? "" } };
    assert.equal(await outcomeOf(own.updateUser(change)), "ok");
    assert.equal(await outcomeOf(own.updateUser(change)), "aborted ETAG_MISMATCH");

    const token = await adminToken(url);
    const people = clientOf(IdentityService, url, { token });
    const { nextPageToken } = await people.listUsers({ pageSize: 1 });
    assert.notEqual(nextPageToken, "");
    const elsewhere = clientOf(AuditService, url, { token }).listEvents({ pageToken: nextPageToken });
    assert.equal(await outcomeOf(elsewhere), "invalid_argument INVALID_PAGE_TOKEN");
    const filtered = people.listUsers({ pageToken: nextPageToken, filter: "state = ACTIVE" });
    assert.equal(await outcomeOf(filtered), "invalid_argument INVALID_PAGE_TOKEN");
  });

  test("a write that is sent twice with one request_id happens once", async () => {
    const { url } = platform;
    const ada = await signUp(url, "Ada");
    const own = clientOf(IdentityService, url, { token: ada.token });
    const requestId = crypto.randomUUID();
    const request = { user: { userId: "me", displayName: "Once" }, requestId };
    const [first, second] = await Promise.all([own.updateUser(request), own.updateUser(request)]);
    assert.deepEqual(first, second);
    const other = own.updateUser({ user: { userId: "me", displayName: "Twice" }, requestId });
    assert.equal(await outcomeOf(other), "invalid_argument REQUEST_ID_REUSED");
  });
});
