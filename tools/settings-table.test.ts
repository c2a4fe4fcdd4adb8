import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { README, withSettingsTable } from "./settings-table.ts";

test("the README's settings are those that the code reads", async () => {
  const readme = readFileSync(README, "utf8");
  assert.equal(readme, await withSettingsTable(readme), "run npm run generate");
});
