/** The first quarter of an hour: sign up, call, be refused, grant, call again, read the audit log. Over every protocol. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AuditService, Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { GatewayService } from "@switchboard/gen/switchboard/gateway/v1/gateway_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { startTestPlatform, type TestPlatform } from "@switchboard/testkit/platform";
import { adminToken, clientOf, outcomeOf, PROTOCOLS, signUp } from "./client.ts";

describe("a platform", () => {
  let platform: TestPlatform;
  before(async () => {
    platform = await startTestPlatform();
  });
  after(() => platform[Symbol.asyncDispose]());

  for (const protocol of PROTOCOLS) {
    test(`a person's first calls, over ${protocol}`, async () => {
      const { url } = platform;
      const ada = await signUp(url, "Ada");
      const asAda = clientOf(IdentityService, url, { token: ada.token, protocol });
      const { user } = await asAda.getUser({ userId: "me" });
      assert.equal(user?.displayName, "Ada");
      assert.equal(user?.email, ada.email);

      const anybody = clientOf(IdentityService, url, { protocol });
      assert.equal(await outcomeOf(anybody.getUser({ userId: "me" })), "unauthenticated CREDENTIAL_MISSING");
      assert.equal(await outcomeOf(asAda.listUsers({})), "permission_denied PERMISSION_DENIED");

      const admin = await adminToken(url);
      const listed = await clientOf(IdentityService, url, { token: admin, protocol }).listUsers({ pageSize: 1000 });
      assert.ok(listed.users.some(({ userId }) => userId === ada.userId));

      const log = clientOf(AuditService, url, { token: admin, protocol });
      await eventually(async () => {
        const { events } = await log.listEvents({ filter: `actor = "user:${ada.userId}"`, pageSize: 100 });
        const refusal = events.find(({ outcome }) => outcome === Outcome.DENIED);
        assert.equal(refusal?.action, "switchboard.identity.v1.IdentityService/ListUsers");
        assert.equal(refusal?.reason, "PERMISSION_DENIED");
      });
      await eventually(async () => {
        const { events } = await log.listEvents({ filter: `object = "user:${ada.userId}"`, pageSize: 100 });
        assert.ok(events.some(({ action }) => action === "switchboard.auth.v1.AuthService/SignUp"));
      });
      const verified = await log.verifyLog({});
      assert.equal(verified.ok, true);
      assert.ok(verified.size > 0n);
    });
  }

  test("a role opens what was closed, and its end closes it again", async () => {
    const { url } = platform;
    const bob = await signUp(url, "Bob");
    const asBob = clientOf(AuditService, url, { token: bob.token });
    assert.equal(await outcomeOf(asBob.listEvents({})), "permission_denied PERMISSION_DENIED");
    const authz = clientOf(AuthzService, url, { token: await adminToken(url) });
    const grant = { subject: `user:${bob.userId}`, role: "auditor", object: "platform:switchboard" };
    await authz.grantRole(grant);
    assert.equal(await outcomeOf(asBob.listEvents({})), "ok");
    await authz.revokeRole(grant);
    await eventually(async () => {
      assert.equal(await outcomeOf(asBob.listEvents({})), "permission_denied PERMISSION_DENIED");
    });
  });

  test("a session that is revoked is refused within a second", async () => {
    const { url } = platform;
    const eve = await signUp(url, "Eve");
    const identity = clientOf(IdentityService, url, { token: eve.token });
    assert.equal(await outcomeOf(identity.getUser({ userId: "me" })), "ok");
    await clientOf(AuthService, url, { token: eve.token }).revokeAllSessions({});
    await eventually(
      async () => {
        assert.equal(await outcomeOf(identity.getUser({ userId: "me" })), "unauthenticated CREDENTIAL_REVOKED");
      },
      { withinMs: 1_000 },
    );
  });

  test("an API key acts as its owner until it is revoked", async () => {
    const { url } = platform;
    const kim = await signUp(url, "Kim");
    const auth = clientOf(AuthService, url, { token: kim.token });
    const { apiKey, secret } = await auth.createApiKey({ displayName: "robot" });
    const robot = clientOf(IdentityService, url, { token: secret });
    assert.equal((await robot.getUser({ userId: "me" })).user?.userId, kim.userId);
    await auth.revokeApiKey({ apiKeyId: apiKey?.apiKeyId ?? "" });
    await eventually(async () => {
      assert.match(await outcomeOf(robot.getUser({ userId: "me" })), /^unauthenticated/);
    });
  });

  test("a person who is disabled is out", async () => {
    const { url } = platform;
    const mallory = await signUp(url, "Mallory");
    const admin = clientOf(IdentityService, url, { token: await adminToken(url) });
    await admin.disableUser({ userId: mallory.userId });
    const own = clientOf(IdentityService, url, { token: mallory.token });
    await eventually(async () => {
      assert.equal(await outcomeOf(own.getUser({ userId: "me" })), "unauthenticated CREDENTIAL_REVOKED");
    });
    const signIn = clientOf(AuthService, url).signIn({ email: mallory.email, password: mallory.password });
    assert.equal(await outcomeOf(signIn), "unauthenticated WRONG_CREDENTIALS");
  });

  test("the administrator sees routes and instances", async () => {
    const gateway = clientOf(GatewayService, platform.url, { token: await adminToken(platform.url) });
    const { routes } = await gateway.listRoutes({});
    const paths = routes.map(({ path }) => path);
    assert.ok(paths.includes("/switchboard.identity.v1.IdentityService/GetUser"));
    assert.ok(!paths.some((path) => path.endsWith("/IssueServiceToken")), "what is internal is no route");
    const { instances } = await gateway.listInstances({});
    assert.deepEqual(
      new Set(instances.map(({ service }) => service)),
      new Set(["audit", "auth", "authz", "gateway", "identity"]),
    );
  });
});
