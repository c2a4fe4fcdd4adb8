import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@switchboard/testkit/eventually";
import { event, gate } from "../law/world.ts";
import { type Item, Lanes, type LanesOptions, type Returned } from "./lanes.ts";
import { Share } from "./share.ts";

const share = new Share("t", 0, { offset: 0, note: "" });

function item(lane: string, offset: number, size = 0, replayId = ""): Item {
  return { lane, share, offset, replayId, failures: 0, event: event(lane, "", { data: new Uint8Array(size) }) };
}

/** Notes what was run, in its order: "a1 a2" for a batch. */
function lanesNoting(run: LanesOptions["run"], options: Partial<LanesOptions> = {}) {
  const runs: string[] = [];
  const lanes = new Lanes({
    concurrency: 8,
    batchSize: 1,
    ...options,
    run: (items) => {
      runs.push(items.map(({ lane, offset }) => `${lane}${offset}`).join(" "));
      return run(items);
    },
  });
  return { lanes, runs };
}

test("a lane that waits for its time comes again with what is behind it, others meanwhile", async () => {
  const { lanes, runs } = lanesNoting(async ([first]) => {
    if (first?.offset !== 1 || first.failures === 2) return [];
    first.failures += 1;
    return [{ item: first, delayMs: 20 }];
  });
  for (const one of [item("a", 1), item("a", 2), item("b", 3)]) lanes.push(one);
  await eventually(() => assert.deepEqual(runs, ["a1", "b3", "a1", "a1", "a2"]));
  assert.equal(lanes.weight, 0);
});

test("a batch takes each lane in its order, one replay at a time, and nothing that failed", async () => {
  const first = gate();
  let failed = false;
  const returned = async (items: readonly Item[]): Promise<Returned[]> => {
    await first.opened;
    const bad = items.find(({ offset }) => offset === 4);
    if (failed || bad === undefined) return [];
    failed = true;
    bad.failures += 1;
    return [{ item: bad, delayMs: 10 }];
  };
  const { lanes, runs } = lanesNoting(returned, { batchSize: 4 });
  lanes.push(item("z", 0));
  for (const one of [item("a", 1), item("b", 2), item("a", 3), item("c", 4), item("d", 5, 0, "replay"), item("e", 6)]) {
    lanes.push(one);
  }
  first.open();
  await eventually(() => assert.deepEqual(runs, ["z0", "a1 a3 b2 c4", "d5", "e6", "c4"]));
});

test("what waits behind a failed item is parked, and comes back in its order", async () => {
  let mending = false;
  const stored = new Map<number, Item["event"]>();
  const { lanes, runs } = lanesNoting(async ([first]) => {
    if (first === undefined) return [];
    if (first.offset === 0 && !mending) return [{ item: first, delayMs: 10 }];
    if (first.event === undefined) lanes.load("a", ({ offset }) => stored.get(offset));
    return [];
  });
  for (let offset = 0; offset < 200; offset++) {
    const one = item("a", offset, 100_000);
    stored.set(offset, one.event);
    lanes.push(one);
    if (offset === 0) await eventually(() => assert.ok(runs.length >= 1));
  }
  await eventually(() => assert.ok(lanes.weight < 600_000, `${lanes.weight}`));
  mending = true;
  await eventually(() => assert.equal(lanes.weight, 0));
  assert.deepEqual(
    runs.filter((run) => run !== "a0"),
    Array.from({ length: 199 }, (_, index) => `a${index + 1}`),
  );
});

test("there is room again when enough is done; closing waits for what is under way and starts nothing", async () => {
  const held = gate();
  const { lanes, runs } = lanesNoting(async () => {
    await held.opened;
    return [];
  });
  lanes.push(item("a", 0, 20_000_000));
  lanes.push(item("a", 1));
  let room = false;
  const waiting = lanes.room().then(() => {
    room = true;
  });
  await delay(0);
  assert.equal(room, false);
  let closed = false;
  const closing = lanes.close().then(() => {
    closed = true;
  });
  await waiting;
  await delay(0);
  assert.equal(closed, false);
  held.open();
  await closing;
  assert.deepEqual(runs, ["a0"]);
});
