import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { PeerFault, peerError } from "./peer-fault.ts";
import { createRetry, createRetryBudget, failureOf, isRepeatable, type RetryOptions } from "./retry.ts";

const unavailable = failureOf(new ConnectError("away", Code.Unavailable));
const broken = failureOf(peerError(new PeerFault("broken", true, "lost")));
const notProcessed = failureOf(peerError(new PeerFault("unreachable", false, "refused")));

function retry(options: Partial<RetryOptions> = {}) {
  return createRetry({ repeatable: true, budget: createRetryBudget(), now: () => 0, random: () => 0.5, ...options });
}

test("a repeatable call gets three attempts, with growing pauses", () => {
  const calls = retry();
  assert.deepEqual(calls.after(unavailable, true), { delayMs: 25 });
  assert.deepEqual(calls.after(broken, true), { delayMs: 50 });
  assert.deepEqual(calls.after(unavailable, true), { giveUp: "the attempts are used up" });
});

test("pauses are spread by a fifth to both sides", () => {
  assert.deepEqual(retry({ random: () => 0 }).after(unavailable, true), { delayMs: 20 });
  const { delayMs } = retry({ random: () => 0.999 }).after(unavailable, true) as { delayMs: number };
  assert.ok(delayMs > 29 && delayMs < 30);
});

test("a call that may have had an effect is repeated only where that is safe", () => {
  const calls = retry({ repeatable: false });
  assert.match((calls.after(unavailable, true) as { giveUp: string }).giveUp, /not safe/);
  assert.match((calls.after(broken, true) as { giveUp: string }).giveUp, /not safe/);
});

test("what nobody processed goes elsewhere at once, whatever it is, and uses up no attempt", () => {
  const calls = retry({ repeatable: false });
  for (let i = 0; i < 8; i += 1) assert.deepEqual(calls.after(notProcessed, true), { delayMs: 0 });
});

test("what nobody processed is offered to the same instances again for a while", () => {
  const clock = { ms: 0 };
  const calls = retry({ now: () => clock.ms });
  assert.deepEqual(calls.after(notProcessed, false), { delayMs: 25 });
  clock.ms = 4_999;
  assert.deepEqual(calls.after(notProcessed, false), { delayMs: 50 });
  clock.ms = 5_000;
  assert.deepEqual(calls.after(notProcessed, false), { giveUp: "no instance could be reached" });
});

test("answers other than UNAVAILABLE are final", () => {
  for (const code of [Code.NotFound, Code.Internal, Code.DeadlineExceeded, Code.ResourceExhausted, Code.Aborted]) {
    assert.ok("giveUp" in retry().after(failureOf(new ConnectError("no", code)), true), Code[code]);
  }
  assert.ok("giveUp" in retry().after(failureOf(new Error("a bug")), true));
});

test("the service says when to come back, or never", () => {
  const trailer = (value: string) =>
    retry().after(
      failureOf(new ConnectError("", Code.Unavailable, new Headers({ "grpc-retry-pushback-ms": value }))),
      true,
    );
  assert.deepEqual(trailer("700"), { delayMs: 700 });
  assert.match((trailer("-1") as { giveUp: string }).giveUp, /asked not to/);
  assert.match((trailer("soon") as { giveUp: string }).giveUp, /asked not to/);

  const detail = { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } };
  const error = new ConnectError("", Code.Unavailable, undefined, [detail]);
  error.details = [{ type: RetryInfoSchema.typeName, value: new Uint8Array([0x0a, 0x04, 0x08, 0x01, 0x10, 0x01]) }];
  assert.deepEqual(retry().after(failureOf(error), true), { delayMs: 1_001 });
});

test("the budget ends a storm of retries, and successes refill it", () => {
  const budget = createRetryBudget();
  let retries = 0;
  for (let call = 0; call < 1_000; call += 1) {
    const calls = retry({ budget });
    while ("delayMs" in calls.after(unavailable, true)) retries += 1;
  }
  assert.ok(retries < 500, `${retries} retries for 1,000 failed calls`);
  assert.match((retry({ budget }).after(unavailable, true) as { giveUp: string }).giveUp, /budget/);
  for (let success = 0; success < 10_000; success += 1) budget.succeeded();
  assert.ok("delayMs" in retry({ budget }).after(unavailable, true));
});

test("repeatable: what the contract calls idempotent, and writes with a request_id", () => {
  const { input } = IdentityService.method.createUser;
  assert.equal(isRepeatable({ repeatable: true }, input, {}), true);
  assert.equal(isRepeatable({ repeatable: false }, input, {}), false);
  assert.equal(isRepeatable({ repeatable: false }, input, { requestId: "" }), false);
  assert.equal(isRepeatable({ repeatable: false }, input, { requestId: "018f" }), true);
  assert.equal(isRepeatable({ repeatable: false }, IdentityService.method.getUser.input, { requestId: "018f" }), false);
});
