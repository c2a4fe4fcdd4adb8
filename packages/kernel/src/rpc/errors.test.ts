import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorFromJson, errorToJson } from "@connectrpc/connect/protocol-connect";
import { AppError } from "@switchboard/contract/app-error";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { z } from "zod";
import { fromAppError, reasonOf, toConnectError } from "./errors.ts";
import { check } from "./validate.ts";

/** What arrives at the other end. */
function sent(error: unknown): ConnectError {
  const json = errorToJson(toConnectError(error, "f".repeat(32)), undefined);
  return errorFromJson(json, undefined, new ConnectError("nothing arrived"));
}

describe("what a caller reads out of an error", () => {
  test("AppError: code, message, reason, metadata, violations, the time to wait, and never the cause", () => {
    const violations = [{ field: "user.display_name", description: "must have 1 to 200 characters" }];
    const error = sent(
      new AppError("RATE_LIMITED", "too many calls", {
        violations,
        metadata: { limit: "60" },
        retryAfterMs: 1_500,
        cause: new Error("secret"),
      }),
    );
    assert.equal(error.code, Code.ResourceExhausted);
    assert.equal(error.rawMessage, "too many calls");
    assert.equal(reasonOf(error), "RATE_LIMITED");
    assert.deepEqual(error.findDetails(ErrorInfoSchema)[0]?.metadata, { limit: "60" });
    assert.partialDeepStrictEqual(error.findDetails(BadRequestSchema)[0]?.fieldViolations, violations);
    const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    assert.deepEqual([delay?.seconds, delay?.nanos], [1n, 500_000_000]);
    assert.ok(!JSON.stringify(errorToJson(error, undefined)).includes("secret"));
  });

  test("the time to wait stands in a header too, in whole seconds", () => {
    const error = fromAppError(new AppError("RATE_LIMITED", "too many calls", { retryAfterMs: 1_500 }));
    assert.equal(error.metadata.get("retry-after"), "2");
  });

  for (const [name, thrown] of [
    ["an Error", new Error("postgres://user:password@db")],
    ["a string", "postgres://user:password@db"],
    ["a ConnectError of nobody's making", new ConnectError("postgres://user:password@db", Code.Internal)],
    ["another process's error without a reason", wireError(Code.NotFound)],
    ["undefined", undefined],
  ] as const) {
    test(`${name}: internal, with the trace id alone`, () => {
      const error = sent(thrown);
      assert.equal(error.code, Code.Internal);
      assert.equal(error.rawMessage, `internal error; trace ${"f".repeat(32)}`);
      assert.equal(reasonOf(error), "INTERNAL");
    });
  }

  test("another process's error with a reason is passed on", () => {
    const error = sent(sent(new AppError("ALREADY_EXISTS", "that e-mail has an account")));
    assert.equal(error.code, Code.AlreadyExists);
    assert.equal(reasonOf(error), "ALREADY_EXISTS");
  });

  test("a reason of somebody else's domain is none of ours", () => {
    const details = [{ desc: ErrorInfoSchema, value: { reason: "NOT_FOUND", domain: "example.com" } }];
    assert.equal(reasonOf(new ConnectError("x", Code.NotFound, undefined, details)), undefined);
  });
});

function wireError(code: Code): ConnectError {
  return Object.assign(new ConnectError("postgres://user:password@db", code), { isWireError: true });
}

test("a field that is wrong is named as the .proto names it, with all others", () => {
  const schema = z.object({
    displayName: z.string().min(1, "must have 1 to 200 characters"),
    user: z.object({ emailAddress: z.email("must be an e-mail address") }),
    ids: z.array(z.uuid("must be a UUID")),
  });
  assert.throws(
    () => check(schema, { displayName: "", user: { emailAddress: "x" }, ids: ["x"] }),
    (error) => {
      assert.ok(error instanceof AppError && error.reason === "INVALID_FIELD");
      assert.deepEqual(error.violations, [
        { field: "display_name", description: "must have 1 to 200 characters" },
        { field: "user.email_address", description: "must be an e-mail address" },
        { field: "ids.0", description: "must be a UUID" },
      ]);
      return true;
    },
  );
});
