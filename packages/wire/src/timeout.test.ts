import assert from "node:assert/strict";
import { test } from "node:test";
import { detectProtocol } from "./protocol.ts";
import { formatTimeout, parseTimeoutMs } from "./timeout.ts";

const grpc = detectProtocol("POST", "application/grpc", "");
const connect = detectProtocol("POST", "application/json", "");

test("timeouts are read in their protocol's form, rounded up to milliseconds", () => {
  const read: [header: string, timeoutMs: number][] = [
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3_000],
    ["250m", 250],
    ["1500u", 2],
    ["1n", 1],
    ["0m", 0],
    ["99999999H", 359_999_996_400_000],
  ];
  for (const [header, timeoutMs] of read) assert.equal(parseTimeoutMs(grpc, header), timeoutMs, header);
  assert.equal(parseTimeoutMs(connect, "1500"), 1_500);
  assert.equal(parseTimeoutMs(connect, undefined), undefined);
});

test("malformed timeouts are refused with the form they should have", () => {
  for (const header of ["", "1", "S", "1s", "-1S", "123456789S", "1.5S"]) {
    assert.throws(() => parseTimeoutMs(grpc, header), { reason: "MALFORMED_REQUEST" }, header);
  }
  for (const header of ["", "1S", "-1", "12345678901", "1.5"]) {
    assert.throws(() => parseTimeoutMs(connect, header), { reason: "MALFORMED_REQUEST" }, header);
  }
});

test("what is written is read as the same or less, and never as none", () => {
  for (const timeoutMs of [0.2, 1, 999.9, 15_000, 99_999_999, 100_000_500, 1e12]) {
    for (const protocol of [grpc, connect]) {
      const read = parseTimeoutMs(protocol, formatTimeout(protocol, timeoutMs)) ?? 0;
      assert.ok(read >= 1 && read <= Math.max(1, timeoutMs), `${timeoutMs} became ${read}`);
    }
  }
});
