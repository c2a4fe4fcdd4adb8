import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { type User, UserState } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { refused } from "@switchboard/testkit/refused";
import { type IdentityUnderTest, startIdentity } from "./identity-under-test.ts";

let identity: IdentityUnderTest;
before(async () => {
  identity = await startIdentity();
});
after(() => identity[Symbol.asyncDispose]());

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;

let made = 0;
async function someone(): Promise<User> {
  const { user } = await identity.admin.createUser({ email: `person-${made++}@example.com`, displayName: "Somebody" });
  return user ?? assert.fail();
}

/** The facts about a person after the first, without their package. */
async function factsSince(user: User): Promise<string[]> {
  return (await identity.factsOf(user.userId)).slice(1).map((type) => type.split(".").at(-1) ?? "");
}

describe("DisableUser and EnableUser", () => {
  test("change the state once each, and tell the others once each", async () => {
    const user = await someone();
    const disabled = await identity.admin.disableUser({ userId: user.userId });
    assert.equal(disabled.user?.state, UserState.DISABLED);
    assert.deepEqual((await identity.admin.disableUser({ userId: user.userId })).user, disabled.user);
    const enabled = await identity.admin.enableUser({ userId: user.userId });
    assert.equal(enabled.user?.state, UserState.ACTIVE);
    assert.deepEqual((await identity.admin.enableUser({ userId: user.userId })).user, enabled.user);
    assert.deepEqual(await factsSince(user), ["UserDisabled", "UserEnabled"]);
  });
});

describe("DeleteUser and UndeleteUser", () => {
  test("mark a person and take the mark away; meanwhile they are found by id", async () => {
    const user = await someone();
    const gone = await identity.admin.deleteUser({ userId: user.userId });
    assert.ok(gone.user?.deleteTime);
    assert.deepEqual((await identity.admin.getUser({ userId: user.userId })).user, gone.user);
    const back = await identity.admin.undeleteUser({ userId: user.userId });
    assert.equal(back.user?.deleteTime, undefined);
    assert.deepEqual(await factsSince(user), ["UserDeleted", "UserUndeleted"]);
  });

  test("keep the e-mail for the deleted person", async () => {
    const user = await someone();
    await identity.admin.deleteUser({ userId: user.userId });
    await refused("ALREADY_EXISTS", identity.admin.createUser({ email: user.email.toUpperCase(), displayName: "New" }));
  });

  test("refuse what makes no sense", async () => {
    const { userId } = await someone();
    await refused("ALREADY_EXISTS", identity.admin.undeleteUser({ userId }));
    await identity.admin.deleteUser({ userId });
    await refused("NOT_FOUND", identity.admin.deleteUser({ userId }));
    await refused("WRONG_STATE", identity.admin.disableUser({ userId }));
    await refused("WRONG_STATE", identity.admin.enableUser({ userId }));
    await refused("WRONG_STATE", identity.admin.updateUser({ user: { userId, displayName: "Ghost" } }));
  });

  test("are gone for good after 30 days: the e-mail is free, and nobody else is touched", async () => {
    const [old, recent, present] = [await someone(), await someone(), await someone()];
    await identity.admin.deleteUser({ userId: old.userId });
    identity.clock.advance(30 * DAY_MS - HOUR_MS);
    await identity.admin.deleteUser({ userId: recent.userId });
    await identity.runJob("purge-deleted");
    await identity.admin.getUser({ userId: old.userId });

    identity.clock.advance(2 * HOUR_MS);
    await refused("NOT_FOUND", identity.admin.undeleteUser({ userId: old.userId }));
    await identity.runJob("purge-deleted");
    await refused("NOT_FOUND", identity.admin.getUser({ userId: old.userId }));
    await identity.admin.getUser({ userId: present.userId });
    await identity.admin.undeleteUser({ userId: recent.userId });
    await identity.admin.createUser({ email: old.email, displayName: "New" });
  });
});

describe("every change of a state", () => {
  for (const call of ["deleteUser", "disableUser"] as const) {
    test(`${call} is aborted by an old etag, and repeated by its request_id`, async () => {
      const user = await someone();
      const { userId, etag } = user;
      await identity.admin.updateUser({ user: { userId, displayName: "Changed" } });
      await refused("ETAG_MISMATCH", identity.admin[call]({ userId, etag }));
      const requestId = newId();
      const first = await identity.admin[call]({ userId, requestId });
      assert.deepEqual(await identity.admin[call]({ userId, requestId }), first);
      assert.equal((await factsSince(user)).length, 2);
    });
  }

  for (const call of ["deleteUser", "undeleteUser", "disableUser", "enableUser"] as const) {
    test(`${call} is for administrators, also on oneself`, async () => {
      const { userId } = await someone();
      await refused("PERMISSION_DENIED", identity.as(`user:${userId}`)[call]({ userId: "me" }));
      await refused("NOT_FOUND", identity.admin[call]({ userId: newId() }));
      await refused("INVALID_FIELD", identity.admin[call]({ userId: "x" }));
    });
  }
});
