import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { engineHome, skipWithout } from "./engine-home.ts";

test("engines are in the repository, or where the setting says", () => {
  assert.equal(engineHome({ SWITCHBOARD_ENGINES_DIR: "/srv/engines" }), "/srv/engines");
  const home = engineHome({ SWITCHBOARD_ENGINES_DIR: "" });
  assert.match(home, /\.engines$/);
  assert.equal(existsSync(join(home, "../turbo.json")), true);
});

test("a missing engine skips its tests, except where all are required", () => {
  assert.equal(skipWithout("Redis", true, {}), false);
  assert.equal(skipWithout("Redis", false, {}), "Redis is not installed");
  assert.equal(skipWithout("Redis", false, { REQUIRE_ENGINES: "all" }), false);
});
