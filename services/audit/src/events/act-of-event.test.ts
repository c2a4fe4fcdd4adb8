import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { CallRecordedSchema } from "@switchboard/gen/switchboard/audit/v1/audit_events_pb";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { actOfEvent } from "./act-of-event.ts";

const fact: EventEnvelope = {
  id: "0192F0C1-0000-7000-8000-000000000001",
  source: "identity",
  type: "switchboard.identity.v1.UserDisabled",
  key: "0192f0c1-0000-7000-8000-0000000000aa",
  time: "2026-01-31T12:00:00.123Z",
  actor: "user:admin",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  data: new Uint8Array(),
};

function report(call: MessageInitShape<typeof CallRecordedSchema>): EventEnvelope {
  const data = toBinary(CallRecordedSchema, create(CallRecordedSchema, call));
  return { ...fact, source: "gateway", type: CallRecordedSchema.typeName, key: "anonymous", data };
}

describe("what an event says that somebody did", () => {
  test("a fact is an act of its own, about the person whose id is its key", () => {
    assert.deepEqual(actOfEvent(fact), {
      eventId: "0192f0c1-0000-7000-8000-000000000001",
      time: new Date("2026-01-31T12:00:00.123Z"),
      actor: "user:admin",
      action: "switchboard.identity.v1.UserDisabled",
      object: "user:0192f0c1-0000-7000-8000-0000000000aa",
      outcome: Outcome.ALLOWED,
      reason: "",
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      source: "identity",
      count: 1,
    });
  });

  test("a fact of another service names its object only where the key does", () => {
    assert.equal(actOfEvent({ ...fact, source: "notes", key: "note:7" }).object, "note:7");
    assert.equal(actOfEvent({ ...fact, source: "authz", key: "relationships" }).object, "");
  });

  test("a reported call is that call, from the source that the bus vouches for", () => {
    const method = "switchboard.identity.v1.IdentityService/ListUsers";
    const call = { actor: "anonymous", method, outcome: Outcome.DENIED, reason: "CREDENTIAL_MISSING", count: 7n };
    const act = actOfEvent(report({ ...call, object: "platform:switchboard" }));
    assert.equal(act.action, method);
    assert.equal(act.actor, "anonymous");
    assert.equal(act.object, "platform:switchboard");
    assert.equal(act.outcome, Outcome.DENIED);
    assert.equal(act.reason, "CREDENTIAL_MISSING");
    assert.equal(act.count, 7);
    assert.equal(act.source, "gateway");
  });

  test("a call that names no count stands for one", () => {
    assert.equal(actOfEvent(report({})).count, 1);
  });

  test("text from outside is cut and cleaned, so that no request can keep an entry out of the log", () => {
    const act = actOfEvent(report({ method: `/a\0b\u001b[31m${"x".repeat(10_000)}` }));
    assert.ok(act.action.startsWith("/a\uFFFDb\uFFFD[31mxxx"));
    assert.equal(act.action.length, 512);
  });

  test("a missing or malformed trace is none", () => {
    assert.equal(actOfEvent({ ...fact, traceparent: "" }).traceId, "");
  });

  test("an event without a UUID, without a time, or that cannot be read is refused", () => {
    assert.throws(() => actOfEvent({ ...fact, id: "1" }), /no UUID/);
    assert.throws(() => actOfEvent({ ...fact, time: "yesterday" }), /is none/);
    assert.throws(() => actOfEvent({ ...report({}), data: Uint8Array.of(0x0a, 0xff) }));
  });
});
