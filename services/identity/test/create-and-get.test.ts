import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { UserState } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { refused } from "@switchboard/testkit/refused";
import { type IdentityUnderTest, startIdentity } from "./identity-under-test.ts";

let identity: IdentityUnderTest;
before(async () => {
  identity = await startIdentity();
});
after(() => identity[Symbol.asyncDispose]());

describe("CreateUser", () => {
  test("makes an active person, whom GetUser then gives", async () => {
    const { user } = await identity.admin.createUser({ email: "Ada@Example.com", displayName: "Ada" });
    assert.equal(user?.email, "Ada@Example.com");
    assert.equal(user.state, UserState.ACTIVE);
    assert.notEqual(user.etag, "");
    assert.deepEqual(user.createTime, user.updateTime);
    assert.deepEqual((await identity.admin.getUser({ userId: user.userId })).user, user);
    assert.deepEqual(await identity.factsOf(user.userId), ["switchboard.identity.v1.UserCreated"]);
  });

  test("takes the user_id that the caller chose, in one letter case", async () => {
    const userId = newId();
    const made = await identity.admin.createUser({
      email: "chosen@example.com",
      displayName: "C",
      userId: userId.toUpperCase(),
    });
    assert.equal(made.user?.userId, userId);
  });

  test("refuses an e-mail that is taken, in whatever letter case", async () => {
    await identity.admin.createUser({ email: "Grace.Hopper@example.com", displayName: "Grace" });
    for (const email of ["Grace.Hopper@example.com", "grace.hopper@EXAMPLE.com", "ＧRACE.hopper@example.com"]) {
      const error = await refused("ALREADY_EXISTS", identity.admin.createUser({ email, displayName: "Other" }));
      assert.match(error.rawMessage, /e-mail already/);
    }
  });

  test("refuses a user_id that is taken, even with the same data", async () => {
    const person = { email: "same@example.com", displayName: "Same", userId: newId() };
    await identity.admin.createUser(person);
    await refused("ALREADY_EXISTS", identity.admin.createUser(person));
    await refused("ALREADY_EXISTS", identity.admin.createUser({ ...person, email: "other@example.com" }));
  });

  test("of ten at once with one e-mail, makes one person", async () => {
    const tries = Array.from({ length: 10 }, (_, index) =>
      identity.admin.createUser({ email: index % 2 ? "RACE@example.com" : "race@example.com", displayName: "R" }),
    );
    const outcomes = await Promise.allSettled(tries);
    assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") await refused("ALREADY_EXISTS", Promise.reject(outcome.reason));
    }
  });

  test("gives a repeated request_id the same answer and makes nobody twice", async () => {
    const request = { email: "again@example.com", displayName: "Again", requestId: newId() };
    const [first, second] = await Promise.all([identity.admin.createUser(request), identity.admin.createUser(request)]);
    assert.deepEqual(second, first);
    assert.deepEqual(await identity.admin.createUser(request), first);
    assert.equal((await identity.factsOf(first.user?.userId ?? "")).length, 1);
  });

  test("refuses a request_id that came before with another body", async () => {
    const request = { email: "reuse@example.com", displayName: "Reuse", requestId: newId() };
    await identity.admin.createUser(request);
    await refused("REQUEST_ID_REUSED", identity.admin.createUser({ ...request, displayName: "Another" }));
  });

  test("after a refusal takes the same request_id, for nothing was done", async () => {
    const requestId = newId();
    await refused(
      "ALREADY_EXISTS",
      identity.admin.createUser({ email: "ADA@example.com", displayName: "A", requestId }),
    );
    const { user } = await identity.admin.createUser({ email: "free@example.com", displayName: "A", requestId });
    assert.equal(user?.email, "free@example.com");
  });

  test("names each field that is wrong, and what it must be", async () => {
    const error = await refused(
      "INVALID_FIELD",
      identity.admin.createUser({ email: "no address", displayName: " ", userId: "7" }),
    );
    assert.deepEqual(error.fields.toSorted(), ["display_name", "email", "user_id"]);
  });

  for (const [what, displayName] of [
    ["nothing", ""],
    ["201 characters", "x".repeat(201)],
    ["the character U+0000", "a\0b"],
    ["a line break", "a\nb"],
  ] as const) {
    test(`refuses a display_name of ${what}`, async () => {
      const error = await refused("INVALID_FIELD", identity.admin.createUser({ email: "x@example.com", displayName }));
      assert.deepEqual(error.fields, ["display_name"]);
    });
  }

  test("takes a display_name of 200 characters of any script", async () => {
    const { user } = await identity.admin.createUser({ email: "emoji@example.com", displayName: "🦀".repeat(200) });
    assert.equal(user?.displayName, "🦀".repeat(200));
  });

  test("is not for everybody", async () => {
    const ada = identity.as(`user:${newId()}`);
    await refused("PERMISSION_DENIED", ada.createUser({ email: "mine@example.com", displayName: "Mine" }));
    const { user } = await identity
      .as("service:auth")
      .createUser({ email: "auth@example.com", displayName: "By Auth" });
    assert.equal(user?.displayName, "By Auth");
  });
});

describe("GetUser", () => {
  test("gives people themselves, by id and as `me`, and nobody else", async () => {
    const { user } = await identity.admin.createUser({ email: "self@example.com", displayName: "Self" });
    const self = identity.as(`user:${user?.userId}`);
    assert.deepEqual((await self.getUser({ userId: "me" })).user, user);
    assert.deepEqual((await self.getUser({ userId: user?.userId ?? "" })).user, user);
    await refused("PERMISSION_DENIED", self.getUser({ userId: newId() }));
  });

  test("says so where there is nobody, or no id", async () => {
    await refused("NOT_FOUND", identity.admin.getUser({ userId: newId() }));
    for (const userId of ["ada", "a b", "x".repeat(129)]) {
      const { fields, rawMessage } = await refused("INVALID_FIELD", identity.admin.getUser({ userId }));
      assert.deepEqual(fields, ["user_id"]);
      // Not every text of some characters is one.
      assert.doesNotMatch(rawMessage, /characters/);
    }
  });
});

describe("BatchGetUsers", () => {
  test("gives people in the order asked for, one asked for twice too", async () => {
    const ids: string[] = [];
    for (const name of ["b1", "b2", "b3"]) {
      const { user } = await identity.admin.createUser({ email: `${name}@example.com`, displayName: name });
      ids.push(user?.userId ?? "");
    }
    const asked = [ids[2], ids[0], ids[2], ids[1]].map((id) => id ?? "");
    const { users } = await identity.admin.batchGetUsers({ userIds: asked });
    assert.deepEqual(
      users.map((user) => user.userId),
      asked,
    );
    assert.deepEqual((await identity.admin.batchGetUsers({})).users, []);
  });

  test("is all or nothing", async () => {
    const missing = newId();
    const error = await refused("NOT_FOUND", identity.admin.batchGetUsers({ userIds: [missing] }));
    assert.match(error.rawMessage, new RegExp(missing));
  });

  test("takes 1,000 ids at most, all of them UUIDs", async () => {
    const tooMany = Array.from({ length: 1001 }, newId);
    await refused("INVALID_FIELD", identity.admin.batchGetUsers({ userIds: tooMany }));
    const error = await refused("INVALID_FIELD", identity.admin.batchGetUsers({ userIds: [newId(), "me"] }));
    assert.deepEqual(error.fields, ["user_ids.1"]);
  });
});
