import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AppError } from "@switchboard/contract/app-error";
import type { Logger } from "pino";
import { fromAppError } from "../rpc/errors.ts";
import { createLogger } from "./logger.ts";

/** The one line that is logged, as it would reach standard output. */
function lineOf(log: (logger: Logger) => void, level = "info"): string {
  const lines: string[] = [];
  log(createLogger({ level, service: "identity", instanceId: "0192" }, { write: (line) => void lines.push(line) }));
  assert.equal(lines.length, 1);
  return lines[0] ?? "";
}

describe("a line of the log", () => {
  test("says when, how bad, who, and what it was given", () => {
    const line = JSON.parse(lineOf((log) => log.warn({ trace_id: "4bf9", ms: 1.5 }, "slow")));
    const { time, ...rest } = line;
    assert.deepEqual(rest, {
      level: "warn",
      service: "identity",
      instance: "0192",
      trace_id: "4bf9",
      ms: 1.5,
      msg: "slow",
    });
    assert.equal(new Date(time).toISOString(), time);
  });

  test("is not written below the level", () => {
    lineOf((log) => {
      log.info("not this");
      log.error("this");
    }, "warn");
  });

  const secret = "hunter2";
  const cases: Readonly<Record<string, object>> = {
    "at the top": { password: secret },
    nested: { request: { currentPassword: secret, newPassword: secret } },
    "in a list": { answers: [{ tokens: { access_token: secret, refreshToken: secret } }] },
    "in headers": { headers: { Authorization: secret, "switchboard-service-token": secret, "set-cookie": secret } },
    "on an error": { err: Object.assign(new Error("refused"), { options: { secret } }) },
  };
  for (const [where, fields] of Object.entries(cases)) {
    test(`has no secret ${where}, and what stands beside it`, () => {
      const before = structuredClone(fields);
      const line = lineOf((log) => log.info({ ...fields, user: { email: "ada@example.com" } }, "oops"));
      assert.ok(!line.includes(secret), line);
      assert.ok(line.includes("[secret]"), line);
      assert.ok(line.includes("ada@example.com"), line);
      assert.deepEqual(structuredClone(fields), before, "what was logged is left as it was");
    });
  }

  test("survives what refers to itself", () => {
    const loop: Record<string, unknown> = { name: "loop" };
    loop.self = loop;
    assert.match(
      lineOf((log) => log.info({ loop }, "round")),
      /"msg":"round"/,
    );
  });
});

describe("an error in the log", () => {
  const failed = () =>
    fromAppError(
      new AppError("NOT_FOUND", "there is no user 7", {
        cause: new Error("no row", { cause: new Error("the socket ended") }),
        violations: [{ field: "user_id", description: "must be there" }],
      }),
    );

  test("has its reason and every cause", () => {
    const { err } = JSON.parse(lineOf((log) => log.error({ err: failed() }, "call failed")));
    assert.equal(err.type, "ConnectError");
    assert.equal(err.reason, "NOT_FOUND");
    assert.equal(err.code, 5);
    assert.match(err.message, /there is no user 7: no row: the socket ended$/);
    assert.match(err.stack, /logger\.test\.ts/);
  });

  test("has no details: those carry whole descriptors", () => {
    const both = new AggregateError([failed(), failed()], "neither instance answered");
    for (const err of [failed(), both]) {
      const line = lineOf((log) => log.error({ err }, "call failed"));
      assert.ok(line.length < 10_000, `${line.length} characters`);
      assert.doesNotMatch(line, /"details"|typeName/);
      assert.match(line, /"reason":"NOT_FOUND"/);
    }
  });

  test("keeps what other errors say of themselves", () => {
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", port: 5432 });
    const { err } = JSON.parse(lineOf((log) => log.warn({ err: refused }, "no database")));
    assert.equal(err.code, "ECONNREFUSED");
    assert.equal(err.port, 5432);
  });
});
