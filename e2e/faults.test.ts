/** Things that break: PostgreSQL goes and comes back, a service dies while it writes. Nothing acknowledged is lost. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { stopProcess } from "@switchboard/engines/stop-process";
import { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { startTestPlatform } from "@switchboard/testkit/platform";
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
