import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { integer, list, readSettings, SettingsFault } from "./read-settings.ts";

const shape = {
  SWITCHBOARD_X_SIZE: integer({ min: 1, max: 10 }).prefault("3"),
  SWITCHBOARD_X_NAMES: list.prefault(""),
  SWITCHBOARD_X_SECRET: z.string().min(8, "must have at least 8 characters"),
};

test("defaults fill in, and an empty variable counts as not set", () => {
  assert.deepEqual(
    {
      ...readSettings(shape, { SWITCHBOARD_X_SECRET: "12345678", SWITCHBOARD_X_SIZE: "", SWITCHBOARD_X_NAMES: "a, b" }),
    },
    { SWITCHBOARD_X_SIZE: 3, SWITCHBOARD_X_NAMES: ["a", "b"], SWITCHBOARD_X_SECRET: "12345678" },
  );
});

test("every fault is listed at once, by its variable, without the secret", () => {
  assert.throws(
    () => readSettings(shape, { SWITCHBOARD_X_SIZE: "ten", SWITCHBOARD_X_SECRET: "hunter2" }),
    (fault: unknown) => {
      assert.ok(fault instanceof SettingsFault);
      assert.match(fault.message, /SWITCHBOARD_X_SIZE: must be a whole number/);
      assert.match(fault.message, /SWITCHBOARD_X_SECRET: must have at least 8 characters/);
      assert.doesNotMatch(fault.message, /hunter2/);
      return true;
    },
  );
  assert.throws(() => readSettings(shape, {}), /SWITCHBOARD_X_SECRET: is not set and has no default/);
});
