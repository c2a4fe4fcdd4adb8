import assert from "node:assert/strict";
import { test } from "node:test";
import { type LeasedInstance, OutageGrace } from "./outage-grace.ts";

const LEASE_MS = 10_000;

function leased(instanceId: string, address = `127.0.0.1:${instanceId.codePointAt(0)}`): LeasedInstance {
  const rest = { version: "1", contractHash: "c", rpcServices: [], metadata: {}, registerTime: 0 };
  return { instance: { service: "identity", instanceId, address, ...rest }, leaseMs: LEASE_MS };
}

const [a, b] = [leased("a"), leased("b")];

function ids(believed: readonly LeasedInstance[]): string[] {
  return believed.map(({ instance }) => instance.instanceId).sort();
}

test("without an outage who is no longer vouched for is gone", () => {
  const grace = new OutageGrace();
  assert.deepEqual(ids(grace.believed(0, [a, b])), ["a", "b"]);
  assert.deepEqual(ids(grace.believed(1, [a])), ["a"]);
  assert.equal(grace.nextEnd(), Number.POSITIVE_INFINITY);
});

test("from the return on everybody has a full lease to be seen again", () => {
  const grace = new OutageGrace();
  grace.believed(0, [a, b]);
  grace.returned(60_000, 50_000);
  assert.deepEqual(ids(grace.believed(60_000, [a, b])), ["a", "b"], "as the catalog was kept");
  assert.deepEqual(ids(grace.believed(61_000, [])), ["a", "b"], "their leases lapsed while nobody could renew");
  assert.equal(grace.nextEnd(), 70_000);
  assert.deepEqual(ids(grace.believed(62_000, [a])), ["a", "b"]);
  assert.deepEqual(ids(grace.believed(69_999, [a])), ["a", "b"]);
  assert.deepEqual(ids(grace.believed(70_000, [a])), ["a"]);
  assert.deepEqual(ids(grace.believed(70_001, [])), [], "the grace is over");
});

test("a second outage gives back the time in which nobody could renew, and no more", () => {
  const grace = new OutageGrace();
  grace.believed(0, [a]);
  grace.returned(10_000, 5_000);
  assert.deepEqual(ids(grace.believed(10_000, [])), ["a"]);
  // Away from 12,000 to 30,000: 8,000 are left of its lease.
  grace.returned(30_000, 18_000);
  assert.deepEqual(ids(grace.believed(37_999, [])), ["a"]);
  assert.deepEqual(ids(grace.believed(38_000, [])), []);
});

test("connections that keep breaking do not keep the dead alive", () => {
  const grace = new OutageGrace();
  grace.believed(0, [a]);
  let time = 0;
  while (ids(grace.believed(time, [])).length > 0 || time === 0) {
    time += 1_000;
    grace.returned(time, 100);
    assert.ok(time < 2 * LEASE_MS, "still there");
  }
});

test("a process at the address of one that is only believed takes its place", () => {
  const grace = new OutageGrace();
  grace.believed(0, [a]);
  grace.returned(10_000, 5_000);
  const successor = leased("s", a.instance.address);
  assert.deepEqual(ids(grace.believed(10_000, [successor])), ["s"]);
});
