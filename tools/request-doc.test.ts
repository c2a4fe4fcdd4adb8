/** docs/request.md against the code that it describes. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { test } from "node:test";
import { codeOf, type ReasonName } from "@switchboard/contract/app-error";
import { CodeSchema } from "@switchboard/gen/google/rpc/code_pb";
import { Reason } from "@switchboard/gen/switchboard/reason/v1/reason_pb";

const root = resolve(import.meta.dirname, "..");
const file = resolve(root, "docs/request.md");
const page = readFileSync(file, "utf8");

test("the stages stand in the gateway's order", () => {
  const pipeline = readFileSync(resolve(root, "gateway/src/pipeline.ts"), "utf8");
  const stages = [...pipeline.matchAll(/\{ name: "([a-z-]+)", after/g)].map(([, name]) => name);
  const headings = [...page.matchAll(/^### (\d+)\. ([a-z-]+)$/gm)].map(([, number, name]) => ({ number, name }));
  assert.ok(stages.length > 5);
  assert.deepEqual(
    headings,
    stages.map((name, index) => ({ number: String(index + 1), name })),
  );
});

test("the files are there", () => {
  const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map(([, link = ""]) => link);
  assert.ok(links.length > 20);
  assert.deepEqual(
    links.filter((link) => !existsSync(resolve(dirname(file), link))),
    [],
  );
});

test("every reason has the code that reason.proto gives to it", () => {
  const told = [...page.matchAll(/`([A-Z][A-Z_]+)`\s\(([a-z_]+)\)/g)];
  assert.ok(told.length > 30);
  for (const [, reason = "", code] of told) {
    assert.ok(Object.hasOwn(Reason, reason), `there is no reason ${reason}`);
    const number = codeOf(reason as ReasonName);
    assert.equal(code, CodeSchema.values.find((value) => value.number === number)?.name.toLowerCase(), reason);
  }
});
