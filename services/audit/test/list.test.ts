import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { type Event, Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuditUnderTest, startAudit } from "./audit-under-test.ts";
import { fact, refusal } from "./events.ts";

let audit: AuditUnderTest;
const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const [ada, bob] = [newId(), newId()];
before(async () => {
  audit = await startAudit();
  const time = (hour: number) => `2026-01-31T0${hour}:00:00.000Z`;
  // One after another: events of different keys have no order among them.
  const facts = [
    fact("UserCreated", ada, { actor: "service:auth", time: time(1) }),
    fact("UserCreated", bob, { actor: "service:auth", time: time(2), traceparent: `00-${trace}-00f067aa0ba902b7-01` }),
    fact("UserDisabled", bob, { actor: `user:${ada}`, time: time(3) }),
  ];
  for (const one of facts) await audit.log("identity", [one]);
  const refusals = [
    refusal("switchboard.identity.v1.IdentityService/ListUsers", {
      actor: `user:${bob}`,
      object: "platform:switchboard",
    }),
    refusal("switchboard.auth.v1.AuthService/SignIn", { reason: "RATE_LIMITED", outcome: Outcome.FAILED }),
  ];
  for (const one of refusals) await audit.log("gateway", [one]);
});
after(() => audit[Symbol.asyncDispose]());

async function sequences(filter: string): Promise<number[]> {
  const { events } = await audit.admin.listEvents({ filter });
  return events.map((event) => Number(event.sequence));
}

describe("ListEvents", () => {
  const cases: readonly [filter: string, found: readonly number[]][] = [
    ["", [5, 4, 3, 2, 1]],
    ["actor = service:auth", [2, 1]],
    ['action = "switchboard.identity.v1.*"', [4, 3, 2, 1]],
    ['action = "*/ListUsers"', [4]],
    ['action = "switchboard.identity.v1.UserCreated" AND actor != "service:auth"', []],
    [`object = "user:${bob}"`, [3, 2]],
    ["outcome = DENIED", [4]],
    ["outcome != ALLOWED", [5, 4]],
    ["outcome = OUTCOME_FAILED AND reason = RATE_LIMITED", [5]],
    ["source = gateway", [5, 4]],
    [`trace_id = ${trace}`, [2]],
    ['time >= "2026-01-31T02:00:00Z" AND time < "2026-01-31T05:00:00+02:00"', [2]],
    ['time >= "2026-02-01T01:30:00+23:30" AND time < "2026-01-30T03:01:00-23:59"', [2]],
    ["sequence > 1 AND sequence <= 3", [3, 2]],
  ];
  for (const [filter, found] of cases) {
    test(`finds, newest first: ${filter || "everything"}`, async () =>
      assert.deepEqual(await sequences(filter), found));
  }

  test("gives every entry once over its pages, while others are appended", async () => {
    const events: Event[] = [];
    let pageToken = "";
    do {
      const page = await audit.admin.listEvents({ filter: "sequence <= 5", pageSize: 2, pageToken });
      events.push(...page.events);
      await audit.log("auth", [fact("SignedUp", newId())]);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(
      events.map((event) => event.sequence),
      [5n, 4n, 3n, 2n, 1n],
    );
  });

  test("refuses a filter that makes no sense, and a page token of another filter", async () => {
    await refused("INVALID_FILTER", audit.admin.listEvents({ filter: "who = me" }));
    await refused("INVALID_FILTER", audit.admin.listEvents({ filter: "outcome = MAYBE" }));
    await refused("INVALID_FILTER", audit.admin.listEvents({ filter: 'time > "0001-01-01T00:00:00+23:59"' }));
    await refused("INVALID_FILTER", audit.admin.listEvents({ filter: "sequence = 99999999999999999999" }));
    const { nextPageToken: pageToken } = await audit.admin.listEvents({ pageSize: 1 });
    await refused("INVALID_PAGE_TOKEN", audit.admin.listEvents({ pageToken, filter: "outcome = DENIED" }));
  });

  test("is for those who may view events", async () => {
    await refused("PERMISSION_DENIED", audit.as(`user:${ada}`).listEvents({}));
    await refused("PERMISSION_DENIED", audit.as(`user:${ada}`).verifyLog({}));
  });
});

describe("GetEvent", () => {
  test("gives one entry", async () => {
    const { events } = await audit.admin.listEvents({ filter: "sequence = 2" });
    assert.deepEqual((await audit.admin.getEvent({ eventId: events[0]?.eventId ?? "" })).event, events[0]);
  });

  test("says so where there is none, or no id", async () => {
    await refused("NOT_FOUND", audit.admin.getEvent({ eventId: newId() }));
    assert.deepEqual((await refused("INVALID_FIELD", audit.admin.getEvent({ eventId: "2" }))).fields, ["event_id"]);
  });
});
