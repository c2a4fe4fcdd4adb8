import assert from "node:assert/strict";
import { test } from "node:test";
import { getOption, hasOption } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { code, ReasonSchema } from "@switchboard/gen/switchboard/reason/v1/reason_pb";
import { AppError, codeOf, type ReasonName } from "./app-error.ts";

test("every reason has a code that is an error", () => {
  for (const reason of ReasonSchema.values.filter((value) => value.number !== 0)) {
    assert.ok(hasOption(reason, code), `${reason.name} has no code`);
    assert.ok(Code[getOption(reason, code)], `${reason.name} has a code that is no error`);
    assert.equal(codeOf(reason.localName as ReasonName), getOption(reason, code));
  }
});

test("no two reasons share a number", () => {
  const numbers = ReasonSchema.values.map((value) => value.number);
  assert.equal(new Set(numbers).size, numbers.length);
});

test("keeps the private cause apart from what the caller reads", () => {
  const error = new AppError("NOT_FOUND", "there is no such person", { cause: new Error("row 7 of table people") });
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.message, "there is no such person");
  assert.match(String(error.cause), /row 7/);
  assert.equal("cause" in new AppError("NOT_FOUND", "there is no such person"), false);
});
