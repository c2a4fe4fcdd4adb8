import assert from "node:assert/strict";
import { test } from "node:test";
import { event } from "../law/world.ts";
import { eventOf, messageOf, sizeOf } from "./event-message.ts";
import { KafkaNames } from "./names.ts";

const sent = event("user:ä", "data", { id: "0198c2a0-0000-7000-8000-000000000000", time: "2026-01-02T03:04:05.678Z" });

test("an event is a CloudEvent in binary mode", () => {
  const { key, value, headers } = messageOf(sent);
  assert.equal(key, "user:ä");
  assert.equal(String(value), "data");
  assert.deepEqual(headers, {
    "content-type": "application/protobuf",
    ce_specversion: "1.0",
    ce_id: "0198c2a0-0000-7000-8000-000000000000",
    ce_source: "identity",
    ce_type: "law.v1.Happened",
    ce_subject: "user:ä",
    ce_time: "2026-01-02T03:04:05.678Z",
    ce_actor: "user:u",
    traceparent: sent.traceparent,
  });
});

test("an event is read as it was written; headers that are not ours change nothing", () => {
  const { key, value, headers } = messageOf({ ...sent, traceparent: "" });
  const bytes = Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]);
  const record = {
    ...{ topic: "t", partition: 0, offset: 0, time: 0, key: Buffer.from(key), value },
    headers: { ...Object.fromEntries(bytes), other: [Buffer.from("1"), Buffer.from("2")] },
  };
  assert.deepEqual(eventOf(record), { ...sent, traceparent: "" });
  assert.deepEqual(eventOf({ ...record, value: null, headers: {} }).data, new Uint8Array());
});

test("the size is counted too large rather than too small", () => {
  const wide = messageOf({ ...sent, key: "ä".repeat(512), actor: "\u{1f600}".repeat(100) });
  const actual = Buffer.byteLength(wide.key) + wide.value.length + Buffer.byteLength(JSON.stringify(wide.headers));
  assert.ok(sizeOf(wide) >= actual);
});

test("names of facts, groups and what a group keeps never meet, and what Kafka would not take is refused", () => {
  const names = new KafkaNames("switchboard", "auth");
  assert.equal(names.topic("identity"), "switchboard.identity");
  assert.equal(names.sourceOf("switchboard.identity"), "identity");
  for (const other of [names.redelivery("g"), names.deadLetters("g"), "other.identity", "switchboard."]) {
    assert.equal(names.sourceOf(other), undefined, other);
  }
  for (const name of ["", "a.b", "ä", "a b", "x".repeat(81)]) assert.throws(() => names.group(name), RangeError);
});
