import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import type { User } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { refused } from "@switchboard/testkit/refused";
import { type IdentityUnderTest, startIdentity } from "./identity-under-test.ts";

let identity: IdentityUnderTest;
before(async () => {
  identity = await startIdentity();
});
after(() => identity[Symbol.asyncDispose]());

let made = 0;
async function someone(): Promise<User> {
  const { user } = await identity.admin.createUser({ email: `person-${made++}@example.com`, displayName: "Somebody" });
  return user ?? assert.fail();
}

const mask = (...paths: string[]) => ({ paths });

describe("UpdateUser", () => {
  test("lets people change their own name as `me`, and tells the others", async () => {
    const user = await someone();
    const self = identity.as(`user:${user.userId}`);
    const changed = await self.updateUser({
      user: { userId: "me", displayName: "Countess", email: "ignored@example.com" },
      updateMask: mask("display_name"),
    });
    assert.equal(changed.user?.displayName, "Countess");
    assert.equal(changed.user.email, user.email);
    assert.notEqual(changed.user.etag, user.etag);
    assert.deepEqual((await identity.admin.getUser({ userId: user.userId })).user, changed.user);
    assert.deepEqual((await identity.factsOf(user.userId)).slice(1), ["switchboard.identity.v1.UserUpdated"]);
  });

  test("lets nobody change somebody else", async () => {
    const user = await someone();
    const stranger = identity.as(`user:${newId()}`);
    await refused(
      "PERMISSION_DENIED",
      stranger.updateUser({ user: { userId: user.userId, displayName: "Mine" }, updateMask: mask("display_name") }),
    );
  });

  test("changes an e-mail for administrators only", async () => {
    const user = await someone();
    const email = `moved-${user.userId}@example.com`;
    const request = { user: { userId: user.userId, email }, updateMask: mask("email") };
    const self = identity.as(`user:${user.userId}`);
    const error = await refused("PERMISSION_DENIED", self.updateUser(request));
    assert.match(error.rawMessage, /administrator/);
    assert.equal((await identity.admin.updateUser(request)).user?.email, email);
  });

  test("lets people send their own e-mail back unchanged", async () => {
    const user = await someone();
    const self = identity.as(`user:${user.userId}`);
    const changed = await self.updateUser({ user: { ...user, displayName: "New" }, updateMask: mask("*") });
    assert.equal(changed.user?.displayName, "New");
  });

  test("without a mask changes what is not empty", async () => {
    const user = await someone();
    const changed = await identity.admin.updateUser({ user: { userId: user.userId, displayName: "Implied" } });
    assert.equal(changed.user?.displayName, "Implied");
    assert.equal(changed.user.email, user.email);
  });

  test("that changes nothing keeps the etag and tells nobody", async () => {
    const user = await someone();
    assert.deepEqual((await identity.admin.updateUser({ user, updateMask: mask("*") })).user, user);
    assert.equal((await identity.factsOf(user.userId)).length, 1);
  });

  test("refuses a mask with unknown or output-only fields", async () => {
    const user = await someone();
    for (const path of ["phone", "create_time", "state", "etag", "user_id", ""]) {
      await refused("INVALID_UPDATE_MASK", identity.admin.updateUser({ user, updateMask: mask("display_name", path) }));
    }
    await refused("INVALID_UPDATE_MASK", identity.admin.updateUser({ user, updateMask: mask("*", "email") }));
  });

  test("checks the fields that the mask names, and no other", async () => {
    const user = await someone();
    const request = { user: { userId: user.userId, email: "no address", displayName: "" } };
    const error = await refused("INVALID_FIELD", identity.admin.updateUser({ ...request, updateMask: mask("*") }));
    assert.deepEqual(error.fields.toSorted(), ["user.display_name", "user.email"]);
    await refused("INVALID_FIELD", identity.admin.updateUser({}));
  });

  test("is aborted by an etag that is old, and passes with the current one", async () => {
    const user = await someone();
    const first = await identity.admin.updateUser({
      user: { ...user, displayName: "1" },
      updateMask: mask("display_name"),
    });
    const late = { user: { ...user, displayName: "2" }, updateMask: mask("display_name") };
    await refused("ETAG_MISMATCH", identity.admin.updateUser(late));
    const etag = first.user?.etag ?? "";
    assert.equal((await identity.admin.updateUser({ ...late, user: { ...late.user, etag } })).user?.displayName, "2");
  });

  test("of two at once with one etag, lets one pass", async () => {
    const user = await someone();
    const outcomes = await Promise.allSettled(
      ["a", "b"].map((displayName) =>
        identity.admin.updateUser({ user: { ...user, displayName }, updateMask: mask("display_name") }),
      ),
    );
    const [lost, ...more] = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.equal(more.length, 0);
    await refused("ETAG_MISMATCH", Promise.reject(lost?.reason));
    assert.equal((await identity.factsOf(user.userId)).length, 2);
  });

  test("of two at once without an etag, loses neither's field", async () => {
    const user = await someone();
    const email = `parallel-${user.userId}@example.com`;
    await Promise.all([
      identity.admin.updateUser({ user: { userId: user.userId, email }, updateMask: mask("email") }),
      identity.admin.updateUser({
        user: { userId: user.userId, displayName: "Both" },
        updateMask: mask("display_name"),
      }),
    ]);
    const after = (await identity.admin.getUser({ userId: user.userId })).user;
    assert.deepEqual([after?.email, after?.displayName], [email, "Both"]);
  });

  test("refuses another person's e-mail in another letter case, takes one's own", async () => {
    const [one, other] = [await someone(), await someone()];
    const updateMask = mask("email");
    const taken = { userId: one.userId, email: other.email.toUpperCase() };
    await refused("ALREADY_EXISTS", identity.admin.updateUser({ user: taken, updateMask }));
    const own = { userId: one.userId, email: one.email.toUpperCase() };
    assert.equal((await identity.admin.updateUser({ user: own, updateMask })).user?.email, own.email);
  });

  test("gives a repeated request_id the same answer, whatever came between", async () => {
    const user = await someone();
    const request = { user: { userId: user.userId, displayName: "Once" }, requestId: newId() };
    const first = await identity.admin.updateUser(request);
    await identity.admin.updateUser({ user: { userId: user.userId, displayName: "Later" } });
    assert.deepEqual(await identity.admin.updateUser(request), first);
    assert.equal((await identity.admin.getUser({ userId: user.userId })).user?.displayName, "Later");
    await refused(
      "REQUEST_ID_REUSED",
      identity.admin.updateUser({ ...request, user: { ...request.user, displayName: "Twice" } }),
    );
  });

  test("says so where there is nobody", async () => {
    await refused("NOT_FOUND", identity.admin.updateUser({ user: { userId: newId(), displayName: "Nobody" } }));
  });
});
