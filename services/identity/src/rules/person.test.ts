import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import {
  changedFields,
  disable,
  enable,
  newPerson,
  type Person,
  remove,
  restore,
  UNDELETE_WINDOW_MS,
  update,
} from "./person.ts";

const born = new Date("2026-01-01T00:00:00Z");
const now = new Date("2026-02-01T00:00:00Z");
const ada = newPerson("0192", { email: "ada@example.com", displayName: "Ada" }, born);

function refused(reason: ReasonName, rule: () => Person): void {
  assert.throws(rule, (error) => error instanceof AppError && error.reason === reason);
}

describe("a person", () => {
  test("is active at first, at revision 1", () => {
    assert.equal(ada.state, "ACTIVE");
    assert.equal(ada.revision, 1);
    assert.equal(ada.deleteTime, null);
    assert.deepEqual(ada.updateTime, born);
  });

  test("changes in the named fields only, with a new revision and time", () => {
    const details = { email: "lovelace@example.com", displayName: "Ada Lovelace" };
    const renamed = update(ada, ["display_name"], details, now);
    assert.deepEqual(renamed, { ...ada, displayName: "Ada Lovelace", updateTime: now, revision: 2 });
    assert.deepEqual(changedFields(ada, renamed), ["display_name"]);
    assert.deepEqual(changedFields(ada, update(ada, ["email", "display_name"], details, now)), [
      "display_name",
      "email",
    ]);
  });

  test("is the same where an update says what is there, or nothing", () => {
    assert.equal(update(ada, ["email", "display_name"], ada, now), ada);
    assert.equal(update(ada, [], { email: "x@y", displayName: "X" }, now), ada);
  });

  test("is disabled and enabled once, again changes nothing", () => {
    const out = disable(ada, now);
    assert.equal(out.state, "DISABLED");
    assert.equal(out.revision, 2);
    assert.equal(disable(out, now), out);
    assert.deepEqual(enable(out, now), { ...ada, updateTime: now, revision: 3 });
    assert.equal(enable(ada, now), ada);
  });

  test("can be brought back for 30 days, in the state they had", () => {
    const gone = remove(disable(ada, born), now);
    assert.deepEqual(gone.deleteTime, now);
    const end = now.getTime() + UNDELETE_WINDOW_MS;
    const back = restore(gone, new Date(end));
    assert.equal(back.deleteTime, null);
    assert.equal(back.state, "DISABLED");
    refused("NOT_FOUND", () => restore(gone, new Date(end + 1)));
  });

  test("who is deleted cannot be changed or deleted again; who is not cannot be brought back", () => {
    const gone = remove(ada, now);
    refused("WRONG_STATE", () => update(gone, ["email"], { email: "x@y", displayName: "" }, now));
    refused("WRONG_STATE", () => disable(gone, now));
    refused("WRONG_STATE", () => enable(gone, now));
    refused("NOT_FOUND", () => remove(gone, now));
    refused("ALREADY_EXISTS", () => restore(ada, now));
  });
});
