import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Lanes } from "./lanes.ts";

interface Item {
  readonly lane: string;
  readonly number: number;
}

describe("lanes", () => {
  it("keep the order within a lane, whatever takes how long, and never run more than they may", async () => {
    const lane = fc.constantFrom("a", "b", "c", "d");
    const items = fc.array(fc.record({ lane, turns: fc.nat({ max: 3 }) }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(items, fc.integer({ min: 1, max: 3 }), async (plan, concurrency) => {
        const done: Item[] = [];
        let underWay = 0;
        const lanes = new Lanes<Item>({
          laneOf: (item) => item.lane,
          concurrency,
          batchSize: 2,
          together: () => true,
          weightOf: () => 1,
          async run(batch) {
            underWay += 1;
            assert.ok(underWay <= concurrency && batch.length <= 2);
            for (let turn = 0; turn < (plan[batch[0]?.number ?? 0]?.turns ?? 0); turn++) await Promise.resolve();
            done.push(...batch);
            underWay -= 1;
          },
        });
        for (const [number, { lane }] of plan.entries()) lanes.push({ lane, number });
        await lanes.idle();
        assert.equal(lanes.weight, 0);
        assert.equal(done.length, plan.length);
        for (const name of ["a", "b", "c", "d"]) {
          const numbers = done.filter((item) => item.lane === name).map(({ number }) => number);
          assert.deepEqual(
            numbers,
            numbers.toSorted((a, b) => a - b),
          );
        }
      }),
    );
  });

  it("give back what waits, and leave what is under way", async () => {
    const held = Promise.withResolvers<void>();
    const ran: number[] = [];
    const lanes = new Lanes<Item>({
      laneOf: (item) => item.lane,
      concurrency: 1,
      batchSize: 1,
      together: () => true,
      weightOf: () => 1,
      async run(batch) {
        await held.promise;
        ran.push(...batch.map(({ number }) => number));
      },
    });
    for (const [number, lane] of ["a", "a", "b", "a"].entries()) lanes.push({ lane, number });
    const removed = lanes.remove((item) => item.lane === "a");
    assert.deepEqual(
      removed.map(({ number }) => number),
      [1, 3],
    );
    assert.equal(lanes.weight, 2);
    held.resolve();
    await lanes.idle();
    assert.deepEqual(ran, [0, 2]);
  });
});
