import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@switchboard/testkit/eventually";
import { followIndex } from "./follow-index.ts";

interface Script {
  /** The index that is answered, or the failure; the last stays open until the signal aborts. */
  readonly answers: readonly (number | Error)[];
  readonly gapMs?: number;
}

/** What was asked and what was told, in order. */
async function follow({ answers, gapMs = 0 }: Script) {
  const ended = new AbortController();
  const told: string[] = [];
  const times: number[] = [];
  const rest = [...answers];
  const done = followIndex<number>({
    signal: ended.signal,
    gapMs: () => gapMs,
    retryMs: 50,
    ask: async (index, signal) => {
      times.push(performance.now());
      told.push(`ask ${index ?? "at once"}`);
      const answer = rest.shift();
      if (answer instanceof Error) throw answer;
      if (answer !== undefined) return { index: answer, value: answer };
      const over = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => over.reject(signal.reason));
      return over.promise;
    },
    changed: (value) => void told.push(`changed ${value}`),
    unchanged: () => void told.push("unchanged"),
    failed: (error) => void told.push(`failed ${(error as Error).message}`),
  });
  await eventually(() => assert.equal(times.length, answers.length + 1));
  ended.abort();
  await done;
  return { told, times };
}

test("the first answer is a change, the next question waits for another index", async () => {
  const { told } = await follow({ answers: [7, 7, 9] });
  assert.deepEqual(told, ["ask at once", "changed 7", "ask 7", "unchanged", "ask 7", "changed 9", "ask 9"]);
});

test("an index that goes back is a change, and what follows is asked anew", async () => {
  const { told } = await follow({ answers: [900, 12, 12, 13] });
  assert.deepEqual(told, [
    ...["ask at once", "changed 900", "ask 900", "changed 12"],
    ...["ask at once", "changed 12", "ask 12", "changed 13", "ask 13"],
  ]);
});

test("after any failure nothing is known: the index is forgotten", async () => {
  const { told } = await follow({ answers: [7, new Error("cut"), 7] });
  assert.deepEqual(told, ["ask at once", "changed 7", "ask 7", "failed cut", "ask at once", "changed 7", "ask 7"]);
});

test("an index of 0 is never passed on", async () => {
  const { told } = await follow({ answers: [7, 0, 7] });
  assert.deepEqual(told.slice(2), ["ask 7", "failed the answer has no index", "ask at once", "changed 7", "ask 7"]);
});

test("one failure is followed at once, those after it at a distance", async () => {
  const { times } = await follow({ answers: [new Error("1"), new Error("2"), new Error("3"), 7] });
  const [first = 0, second = 0, third = 0, fourth = 0] = times;
  assert.ok(second - first < 40, `${second - first} ms`);
  assert.ok(third - second >= 40 && fourth - third >= 40, `${third - second} and ${fourth - third} ms`);
});

test("changes that never end are read at a bounded rate", async () => {
  const { times } = await follow({ answers: [1, 2, 3, 4, 5], gapMs: 50 });
  const lastedMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
  assert.ok(lastedMs >= 5 * 45 - 5, `six questions in ${lastedMs} ms`);
});
