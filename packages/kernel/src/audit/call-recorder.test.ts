import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { CallRecordedSchema } from "@switchboard/gen/switchboard/audit/v1/audit_events_pb";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { pino } from "pino";
import type { Bus } from "../bus/bus.ts";
import { openCallRecorder } from "./call-recorder.ts";

const refusal = {
  origin: { actor: "user:1", trace: { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true } },
  method: "switchboard.identity.v1.IdentityService/ListUsers",
  object: "platform:switchboard",
  outcome: Outcome.DENIED,
  reason: "PERMISSION_DENIED",
};

function recorder(publish: (events: readonly EventEnvelope[]) => Promise<void>) {
  const bus = { publish } as Partial<Bus> as Bus;
  return openCallRecorder({ bus, service: "identity", log: pino({ level: "silent" }), now: () => 0 });
}

test("like refusals become one event with their count; unlike ones stay apart", async () => {
  const published: EventEnvelope[] = [];
  {
    await using calls = recorder(async (events) => void published.push(...events));
    for (let n = 0; n < 100; n++) calls.record(refusal);
    calls.record({ ...refusal, reason: "RATE_LIMITED" });
  }
  const facts = published.map((event) => fromBinary(CallRecordedSchema, event.data));
  assert.deepEqual(
    facts.map(({ reason, count }) => [reason, count]),
    [
      ["PERMISSION_DENIED", 100n],
      ["RATE_LIMITED", 1n],
    ],
  );
  assert.equal(published[0]?.traceparent, `00-${"a".repeat(32)}-${"b".repeat(16)}-01`);
});

test("what the bus did not take comes again under the same id", async () => {
  const attempts: EventEnvelope[][] = [];
  {
    await using calls = recorder(async (events) => {
      attempts.push([...events]);
      if (attempts.length === 1) throw new Error("the bus is away");
    });
    calls.record(refusal);
    while (attempts.length === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(attempts.length, 2);
  assert.equal(attempts[0]?.[0]?.id, attempts[1]?.[0]?.id);
});
