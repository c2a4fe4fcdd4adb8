import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { type AuditUnderTest, startAudit } from "./audit-under-test.ts";
import { fact, refusal, unreadable } from "./events.ts";

let audit: AuditUnderTest;
before(async () => {
  audit = await startAudit();
});
after(() => audit[Symbol.asyncDispose]());

describe("the log", () => {
  test("shows a fact and a refusal within 2 s of the act", async () => {
    const [userId, actor] = [newId(), `user:${newId()}`];
    const made = fact("UserCreated", userId, { actor });
    await audit.publish("identity", [made]);
    await audit.publish("gateway", [
      refusal("switchboard.identity.v1.IdentityService/ListUsers", { actor, count: 3n }),
    ]);
    const events = await eventually(
      async () => {
        const { events } = await audit.admin.listEvents({ filter: `actor = "${actor}"` });
        assert.equal(events.length, 2);
        return events;
      },
      { withinMs: 2_000 },
    );

    const shown = events.find((event) => event.eventId === made.id);
    assert.equal(shown?.action, "switchboard.identity.v1.UserCreated");
    assert.equal(shown.object, `user:${userId}`);
    assert.equal(shown.source, "identity");
    assert.equal(shown.outcome, Outcome.ALLOWED);
    assert.equal(shown.traceId, made.traceparent.split("-")[1]);
    assert.match(shown.hash, /^[0-9a-f]{64}$/);
    const refused = events.find((event) => event.eventId !== made.id);
    assert.equal(refused?.action, "switchboard.identity.v1.IdentityService/ListUsers");
    assert.equal(refused.outcome, Outcome.DENIED);
    assert.equal(refused.reason, "PERMISSION_DENIED");
    assert.equal(refused.source, "gateway");
    assert.equal(refused.count, 3n);
  });

  test("of many publishers and two instances has each act once, without a gap, in order per key", async () => {
    await using second = await audit.secondInstance();
    assert.ok(second);
    const before = (await audit.admin.verifyLog({})).size;
    const sources = ["identity", "auth", "authz"] as const;
    const streams = sources.map((source) => {
      const keys = Array.from({ length: 5 }, newId);
      return { source, events: Array.from({ length: 200 }, (_, n) => fact(`Fact${n}`, keys[n % 5] ?? "")) };
    });
    await Promise.all(
      streams.map(async ({ source, events }) => {
        for (let at = 0; at < events.length; at += 20) {
          const some = events.slice(at, at + 20);
          await audit.publish(source, some);
          // A relay that lost the answer publishes again.
          if (at % 60 === 0) await audit.publish(source, some);
        }
      }),
    );
    const { size } = await eventually(
      async () => {
        const verified = await audit.admin.verifyLog({});
        assert.ok(verified.ok, verified.fault?.message);
        assert.equal(verified.size, before + 600n);
        return verified;
      },
      { withinMs: 20_000 },
    );

    const { events: log } = await audit.admin.listEvents({ filter: `sequence > ${before}`, pageSize: 1000 });
    const oldestFirst = log.toReversed();
    assert.deepEqual(
      oldestFirst.map((event) => event.sequence),
      Array.from({ length: 600 }, (_, n) => before + 1n + BigInt(n)),
    );
    assert.equal(new Set(log.map((event) => event.eventId)).size, 600);
    for (const { source, events } of streams) {
      const ofSource = oldestFirst.filter((event) => event.source === source);
      for (const key of new Set(events.map((event) => event.key))) {
        const published = events.filter((event) => event.key === key).map((event) => event.id);
        const logged = ofSource.filter((event) => published.includes(event.eventId)).map((event) => event.eventId);
        assert.deepEqual(logged, published);
      }
    }
    assert.equal((await audit.admin.verifyLog({})).size, size, "a later delivery added an entry");
  });

  test("lets nobody use up another's event id", async () => {
    const act = fact("UserDeleted", newId());
    await audit.publish("notes", [{ ...act, type: "notes.v1.NoteMade" }]);
    await eventually(async () => assert.equal((await audit.eventsOf(act.id)).length, 1));
    await audit.publish("identity", [act]);
    const both = await eventually(async () => {
      const events = await audit.eventsOf(act.id);
      assert.equal(events.length, 2);
      return events;
    });
    assert.deepEqual(both.map((event) => event.source).toSorted(), ["identity", "notes"]);
  });

  test("goes on past an event that cannot be an entry", async () => {
    const before = fact("UserCreated", newId());
    const after = fact("UserCreated", newId());
    await audit.publish("identity", [before, unreadable(), after]);
    const last = fact("UserCreated", newId());
    await audit.publish("auth", [last]);
    await eventually(async () => {
      for (const { id } of [before, after, last]) assert.equal((await audit.eventsOf(id)).length, 1);
    });
    assert.ok((await audit.admin.verifyLog({})).ok);
  });
});
