import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "@switchboard/contract/app-error";
import { Passwords } from "./passwords.ts";

test("a hash matches its password, in every Unicode form, and no other", async () => {
  const passwords = new Passwords();
  const hash = await passwords.hash("crème brûlée for breakfast");
  assert.ok(await passwords.matches("crème brûlée for breakfast".normalize("NFD"), hash));
  assert.ok(!(await passwords.matches("creme brulee for breakfast", hash)));
  assert.notEqual(await passwords.hash("crème brûlée for breakfast"), hash);
});

test("no account matches nothing, after a hash like any other", async () => {
  assert.equal(await new Passwords().matches("", undefined), false);
});

test("more callers than can be served in time are refused, and the others are served", async () => {
  const passwords = new Passwords();
  const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => passwords.matches("any", undefined)));
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  assert.ok(refused.length > 0 && refused.length < 100, `${refused.length} refused`);
  for (const { reason } of refused) assert.ok(reason instanceof AppError && reason.reason === "OVERLOADED");
  assert.equal(await passwords.matches("any", undefined), false);
});
