import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuditUnderTest, startAudit } from "./audit-under-test.ts";
import { fact, refusal } from "./events.ts";

let audit: AuditUnderTest;
before(async () => {
  audit = await startAudit();
});
after(() => audit[Symbol.asyncDispose]());

/** The sequences of the next entries that a watcher sees; it goes away after `count`. */
async function watch(count: number, request: { filter?: string; afterSequence?: bigint }): Promise<number[]> {
  const end = new AbortController();
  const seen: number[] = [];
  for await (const { event } of audit.admin.watchEvents(request, { signal: end.signal })) {
    seen.push(Number(event?.sequence));
    if (seen.length === count) break;
  }
  end.abort();
  return seen;
}

const some = (count: number) => Array.from({ length: count }, () => fact("UserCreated", newId()));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("WatchEvents", () => {
  test("from the beginning gives everything, then what comes, each once and in order", async () => {
    await audit.log("identity", some(500));
    const watching = watch(700, { afterSequence: 0n });
    for (let batch = 0; batch < 4; batch++) await audit.log("identity", some(50));
    assert.deepEqual(await watching, range(1, 700));
  });

  test("from now on gives what comes", async () => {
    const size = Number((await audit.admin.verifyLog({})).size);
    const watching = watch(3, {});
    // When it began to watch cannot be seen from here: something comes until it has seen enough.
    let ended = false;
    const coming = (async () => {
      while (!ended) await audit.log("identity", some(1));
    })();
    const seen = await watching.finally(() => {
      ended = true;
    });
    await coming;
    const [first = 0] = seen;
    assert.ok(first > size, "it began before");
    assert.deepEqual(seen, range(first, first + 2));
  });

  test("gives what the filter lets through, and waits past all else", async () => {
    const size = (await audit.admin.verifyLog({})).size;
    const watching = watch(2, { afterSequence: size, filter: "outcome = DENIED AND source = gateway" });
    await audit.log("identity", some(300));
    await audit.log("gateway", [refusal("x.v1.X/A"), refusal("x.v1.X/B", { outcome: Outcome.FAILED })]);
    await audit.log("gateway", [refusal("x.v1.X/C")]);
    assert.deepEqual(await watching, [Number(size) + 301, Number(size) + 303]);
  });

  test("misses and doubles nothing while its connections are cut", async () => {
    const size = Number((await audit.admin.verifyLog({})).size);
    const watching = watch(200, { afterSequence: BigInt(size) });
    for (let batch = 0; batch < 10; batch++) {
      await audit.log("identity", some(20));
      if (batch % 3 === 1) await audit.cutListeners();
    }
    assert.deepEqual(await watching, range(size + 1, size + 200));
  });

  test("refuses a filter that makes no sense and a sequence below 0, before anything", async () => {
    await refused("INVALID_FILTER", watch(1, { filter: "who = me" }));
    await refused("INVALID_FIELD", watch(1, { afterSequence: -1n }));
  });

  test("is for those who may view events", async () => {
    const stream = audit.as(`user:${newId()}`).watchEvents({})[Symbol.asyncIterator]();
    await refused("PERMISSION_DENIED", stream.next());
  });

  test("ends with `unavailable` when the process drains", async () => {
    await using last = await startAudit();
    const stream = last.admin.watchEvents({ afterSequence: 0n })[Symbol.asyncIterator]();
    await last.log("identity", some(1));
    assert.equal((await stream.next()).done, false);
    const next = stream.next();
    const ended = refused("DRAINING", next);
    await last.drain();
    await ended;
  });
});
