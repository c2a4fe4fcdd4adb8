import assert from "node:assert/strict";
import { test } from "node:test";
import { inOrder, PIPELINE, type Stage, type StageName } from "./pipeline.ts";

test("each stage stands behind those that it needs", () => {
  const seen = new Set<StageName>();
  for (const { name, after } of PIPELINE) {
    for (const earlier of after) assert.ok(seen.has(earlier), `${name} must come after ${earlier}`);
    assert.ok(!seen.has(name), `${name} stands twice`);
    seen.add(name);
  }
  assert.equal(PIPELINE.at(-1)?.name, "forward");
});

test("the stages run in that order", () => {
  const ran: string[] = [];
  const stages = Object.fromEntries(PIPELINE.map(({ name }) => [name, () => void ran.push(name)]).reverse());
  for (const stage of inOrder(stages as Record<StageName, Stage>)) void stage(undefined as never);
  assert.deepEqual(
    ran,
    PIPELINE.map(({ name }) => name),
  );
});
