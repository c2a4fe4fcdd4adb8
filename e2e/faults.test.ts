/** Things that break: PostgreSQL goes and comes back, a service dies while it writes. Nothing acknowledged is lost. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { stopProcess } from "@switchboard/engines/stop-process";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@switchboard/gen/health/v1/health_pb";
import { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { startTestPlatform } from "@switchboard/testkit/platform";
import { temporaryPostgres } from "@switchboard/testkit/postgres-server";
import { adminToken, clientOf, outcomeOf, signUp } from "./client.ts";

const patient = { withinMs: 30_000, everyMs: 100 };

test("PostgreSQL is killed and started again: the platform recovers by itself and the log is whole", async () => {
  await using platform = await startTestPlatform();
  const { url } = platform;
  const ada = await signUp(url, "Ada");
  const pidFile = await readFile(join(platform.dataDir, "postgres/cluster/postmaster.pid"), "utf8");
  await stopProcess(Number.parseInt(pidFile, 10), "SIGQUIT");

  const own = clientOf(IdentityService, url, { token: ada.token });
  await eventually(async () => assert.equal(await outcomeOf(own.getUser({ userId: "me" })), "ok"), patient);
  const { user } = await own.updateUser({ user: { userId: "me", displayName: "Ada again" } });
  assert.equal(user?.displayName, "Ada again");
  const log = clientOf(AuditService, url, { token: await adminToken(url) });
  await eventually(async () => {
    const { events } = await log.listEvents({ filter: `object = "user:${ada.userId}"` });
    assert.ok(events.some(({ action }) => action === "switchboard.identity.v1.UserUpdated"));
  }, patient);
  assert.equal((await log.verifyLog({})).ok, true);
});

test("while PostgreSQL is away, health and readiness say so; when it is back they say that, by themselves", async () => {
  await using server = await temporaryPostgres();
  await using platform = await startTestPlatform({ environment: { SWITCHBOARD_DATABASE_URL: server.adminUrl } });
  const health = clientOf(Health, platform.url);
  const statusOf = async (service: string) => (await health.check({ service })).status;
  const telemetry = await platform.telemetry();
  assert.deepEqual(Object.keys(telemetry).sort(), ["audit", "auth", "authz", "gateway", "identity"]);
  const statuses = async (path: string) =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(telemetry).map(async ([name, url]) => [name, (await fetch(url + path)).status] as const),
      ),
    );
  const all = (status: number) => Object.fromEntries(Object.keys(telemetry).map((name) => [name, status]));
  assert.deepEqual(await statuses("/readyz"), all(200));
  assert.equal(await statusOf(IdentityService.typeName), Status.SERVING);
  assert.equal(await statusOf(""), Status.SERVING);

  await server.stop();
  await eventually(async () => {
    assert.deepEqual(await statuses("/readyz"), all(503));
    assert.equal(await statusOf(IdentityService.typeName), Status.NOT_SERVING);
    assert.equal(await statusOf(""), Status.NOT_SERVING);
    assert.match(await (await fetch(`${telemetry.identity}/readyz`)).text(), /^the database cannot be reached$/m);
  }, patient);
  assert.deepEqual(await statuses("/livez"), all(200));

  await server.startAgain();
  await eventually(async () => {
    assert.deepEqual(await statuses("/readyz"), all(200));
    assert.equal(await statusOf(IdentityService.typeName), Status.SERVING);
    assert.equal(await statusOf(""), Status.SERVING);
  }, patient);
  assert.equal((await fetch(`${telemetry.gateway}/metrics`)).status, 200);
});

test("Identity is killed again and again while it writes: every acknowledged write happened once", async () => {
  await using platform = await startTestPlatform();
  const { url } = platform;
  const token = await adminToken(url);
  const people = clientOf(IdentityService, url, { token });
  const acknowledged: string[] = [];
  let going = true;
  const writer = async () => {
    while (going) {
      const request = {
        email: `${crypto.randomUUID()}@example.com`,
        displayName: "Written once",
        requestId: crypto.randomUUID(),
      };
      // Sent again until it is answered, as a client would: the request_id makes that safe.
      for (;;) {
        const answer = await people.createUser(request, { timeoutMs: 5_000 }).catch(() => undefined);
        if (answer?.user) acknowledged.push(answer.user.userId);
        if (answer !== undefined || !going) break;
      }
    }
  };
  const writers = Array.from({ length: 4 }, writer);
  for (let kills = 0; kills < 3; kills++) {
    const count = acknowledged.length;
    await eventually(() => assert.ok(acknowledged.length > count + 20), patient);
    const { identity = 0 } = await platform.processes();
    process.kill(identity, "SIGKILL");
  }
  const count = acknowledged.length;
  await eventually(() => assert.ok(acknowledged.length > count + 20), patient);
  going = false;
  await Promise.all(writers);

  const found: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await people.listUsers({ pageSize: 1_000, pageToken, filter: 'display_name = "Written once"' });
    found.push(...page.users.map(({ userId }) => userId));
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  assert.equal(new Set(acknowledged).size, acknowledged.length, "no answer names a person twice");
  for (const userId of acknowledged) assert.ok(found.includes(userId), `${userId} was acknowledged and is not there`);

  const log = clientOf(AuditService, url, { token });
  await eventually(async () => {
    const created = new Map<string, number>();
    for (let pageToken = ""; ; ) {
      const filter = 'action = "switchboard.identity.v1.UserCreated"';
      const page = await log.listEvents({ filter, pageSize: 1_000, pageToken });
      for (const { object } of page.events) created.set(object, (created.get(object) ?? 0) + 1);
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    for (const userId of found) assert.equal(created.get(`user:${userId}`), 1, `the event of ${userId}, once`);
  }, patient);
  assert.equal((await log.verifyLog({})).ok, true);
});
