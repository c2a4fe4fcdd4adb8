import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readSettings, SettingsFault } from "@switchboard/kernel/config/read-settings";
import { type AuthConfig, authConfig, authSettings } from "./config.ts";

const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const good = {
  SWITCHBOARD_AUTH_KEY_ENCRYPTION_SECRET: "0123456789abcdef0123456789abcdef",
  SWITCHBOARD_AUTH_SERVICE_SECRETS: JSON.stringify({ identity: hash }),
};

function config(environment: Readonly<Record<string, string>>): AuthConfig {
  return authConfig(readSettings(authSettings, { ...good, ...environment }));
}

describe("Auth's settings", () => {
  test("have defaults for all but the secrets", () => {
    const { passwordMinLength, refreshGraceMs, sessionIdleMs, sessionMaxMs, administrator } = config({});
    assert.deepEqual([passwordMinLength, refreshGraceMs, administrator], [15, 10_000, undefined]);
    assert.deepEqual([sessionIdleMs, sessionMaxMs], [30 * 86_400_000, 90 * 86_400_000]);
  });

  const faults: readonly [environment: Readonly<Record<string, string>>, told: RegExp][] = [
    [{ SWITCHBOARD_AUTH_KEY_ENCRYPTION_SECRET: "short" }, /ENCRYPTION_SECRET: must have at least 32 bytes/],
    [{ SWITCHBOARD_AUTH_PASSWORD_MIN_LENGTH: "7" }, /SWITCHBOARD_AUTH_PASSWORD_MIN_LENGTH/],
    [{ SWITCHBOARD_AUTH_SERVICE_SECRETS: "identity" }, /SERVICE_SECRETS: must be a JSON object/],
    [{ SWITCHBOARD_AUTH_SERVICE_SECRETS: '{"identity":"secret"}' }, /SERVICE_SECRETS: must be a JSON object/],
    [{ SWITCHBOARD_ADMIN_EMAIL: "a@b.c" }, /are needed both/],
    [{ SWITCHBOARD_ADMIN_PASSWORD: "a long enough password" }, /are needed both/],
    [{ SWITCHBOARD_ADMIN_EMAIL: "nobody", SWITCHBOARD_ADMIN_PASSWORD: "x" }, /ADMIN_EMAIL: must be an e-mail/],
    [
      { SWITCHBOARD_ADMIN_EMAIL: "a@b.c", SWITCHBOARD_ADMIN_PASSWORD: "hunter2" },
      /SWITCHBOARD_ADMIN_PASSWORD must have at least 15 characters/,
    ],
  ];
  for (const [environment, told] of faults) {
    test(`that cannot be used are told: ${told.source}`, () => {
      assert.throws(
        () => config(environment),
        (fault: unknown) => {
          assert.ok(fault instanceof SettingsFault);
          assert.match(fault.message, told);
          assert.doesNotMatch(fault.message, /hunter2|long enough/);
          return true;
        },
      );
    });
  }
});
