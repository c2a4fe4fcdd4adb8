import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ModelChangedSchema } from "@switchboard/gen/switchboard/authz/v1/authz_events_pb";
import { UserDisabledSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { refused } from "@switchboard/testkit/refused";
import { ADMIN, type AuthzUnderTest, rel, startAuthz } from "./authz-under-test.ts";
import { startNeighbour } from "./neighbour.fake.ts";
import { NOTES } from "./notes-model.ts";

const PLATFORM = "platform:switchboard";
const platform = (name: string, ...anyOf: string[]) => ({ name: "platform", permissions: [{ name, anyOf }] });

/** Whether the administrator holds it. */
async function allowed(authz: AuthzUnderTest, permission: string): Promise<boolean> {
  const question = { subject: "user:administrator", permission, object: PLATFORM };
  return (await authz.admin.check(question)).allowed;
}

describe("at its first start", () => {
  test("Authz warns of nothing and lacks nothing", async () => {
    await using authz = await startAuthz();
    assert.deepEqual(authz.problems(), []);
    assert.doesNotMatch(authz.log(), /"level":"(warn|error)"/);
  });

  test("a service that registers is understood without a restart, and told of once", async () => {
    await using authz = await startAuthz();
    await refused("MODEL_INVALID", allowed(authz, "create_user"));
    await authz.neighbour("identity", [platform("create_user", "admin", "service:auth")]);
    assert.deepEqual(authz.problems(), ["the contract of identity has not been read yet"]);
    await authz.settled();
    assert.equal(await allowed(authz, "create_user"), true);
    const auth = { subject: "service:auth", permission: "create_user", object: PLATFORM };
    assert.equal((await authz.as("service:identity").check(auth)).allowed, true);
    await authz.neighbour("identity", [platform("create_user", "admin", "service:auth")]);
    await authz.settled();
    const facts = await authz.facts(ModelChangedSchema);
    assert.deepEqual(
      facts.map(({ service }) => service),
      ["identity"],
    );
    const { consistencyToken } = await authz.admin.check(auth);
    assert.equal(consistencyToken, `r${facts[0]?.revision}`);
  });
});

test("the first calls of a service that has just registered wait until its contract is read", async () => {
  await using authz = await startAuthz();
  await authz.neighbour("notes", NOTES);
  const [written, checked, read] = await Promise.all([
    authz.as("service:notes").writeRelationships({ writes: [rel("note:first#owner@user:a")] }),
    authz.admin.check({ subject: "service:indexer", permission: "view", object: "note:first" }),
    authz.as("service:notes").readRelationships({ object: "note:other" }),
    authz.as("service:notes").writeRelationships({ deletes: [rel("note:other#owner@user:a")] }),
  ]);
  assert.notEqual(written.consistencyToken, "");
  assert.equal(checked.allowed, true);
  assert.deepEqual(read.relationships, []);
  // Nor does a role of it have to be asked for twice.
  await authz.neighbour("letters", [
    { name: "letter", relations: [{ name: "reader", subjects: ["user"], role: true }] },
  ]);
  await authz.admin.grantRole({ subject: "user:a", role: "reader", object: "letter:l" });
  await authz.neighbour("stamps", [{ name: "stamp", permissions: [{ name: "lick", anyOf: ["service:stamps"] }] }]);
  const stamps = { permission: "lick", subject: "service:stamps", objectType: "stamp" };
  assert.equal((await authz.admin.listObjects(stamps)).everyObject, true);
  await authz.neighbour("seals", [platform("seal", "admin")]);
  const seal = { subject: "user:administrator", permission: "seal", object: PLATFORM };
  const { results } = await authz.admin.batchCheck({ checks: [seal, { ...seal, permission: "manage_roles" }] });
  assert.deepEqual(
    results.map((result) => result.errorReason || result.allowed),
    [true, true],
  );
  assert.doesNotMatch(authz.log(), /"level":"(warn|error)"/);
});

describe("while a contract cannot be read", () => {
  test("what may be in it is unavailable, the rest is answered, and other contracts are read", async () => {
    await using authz = await startAuthz();
    const silent = await startNeighbour("identity", [platform("create_user", "admin")]);
    await silent[Symbol.asyncDispose]();
    await authz.registry.register(silent.instance);
    await authz.neighbour("notes", NOTES);
    const lacks = ["the contract of identity has not been read yet"];
    await eventually(() => assert.deepEqual(authz.problems(), lacks));
    assert.equal(await allowed(authz, "read_notes"), false);
    assert.equal(await allowed(authz, "manage_roles"), true);
    const error = await refused("AUTHZ_UNAVAILABLE", allowed(authz, "create_user"));
    assert.match(error.rawMessage, /the contract of identity has not been read yet; try again/);
    const { results } = await authz.admin.batchCheck({
      checks: ["create_user", "manage_roles"].map((permission) => ({
        subject: "user:administrator",
        permission,
        object: PLATFORM,
      })),
    });
    assert.deepEqual(
      results.map((result) => result.errorReason || result.allowed),
      ["AUTHZ_UNAVAILABLE", true],
    );
    const write = { writes: [rel("letter:l#owner@user:a")] };
    await refused("AUTHZ_UNAVAILABLE", authz.admin.writeRelationships(write));
    await refused("AUTHZ_UNAVAILABLE", authz.admin.grantRole({ subject: "user:a", role: "boss", object: PLATFORM }));
    // Another instance of the same contract comes, and can be asked.
    await authz.neighbour("identity", [platform("create_user", "admin")]);
    await authz.settled();
    assert.equal(await allowed(authz, "create_user"), true);
    await refused("INVALID_FIELD", authz.admin.writeRelationships(write));
    const warnings = authz.log().match(/"level":"warn".*a contract could not be read/g);
    assert.equal(warnings?.length, 1, "the same failure is told once");
  });

  test("Authz starts with what it knows, and says what it lacks", async () => {
    await using authz = await startAuthz(NOTES);
    const silent = await startNeighbour("notes", [...NOTES, { name: "letter", permissions: [{ name: "burn" }] }]);
    await silent[Symbol.asyncDispose]();
    await authz.registry.register(silent.instance);
    const again = await authz.another();
    assert.deepEqual(again.problems(), ["the contract of notes has not been read yet"]);
    const question = { subject: "service:indexer", permission: "view", object: "note:n" };
    assert.equal((await again.as("service:notes").check(question)).allowed, true);
    const burn = { subject: "user:a", permission: "burn", object: "letter:l" };
    await refused("AUTHZ_UNAVAILABLE", again.as("service:notes").check(burn));
  });
});

test("what was learnt outlives the service and a restart of Authz", async () => {
  await using authz = await startAuthz(NOTES);
  await authz.admin.writeRelationships({ writes: [rel("note:n#owner@user:a"), rel("note:n#editor@user:e")] });
  authz.registry.set();
  await using again = await authz.another();
  assert.deepEqual(again.problems(), []);
  const notes = again.as("service:notes");
  assert.equal((await notes.check({ subject: "user:a", permission: "view", object: "note:n" })).allowed, true);
  await notes.writeRelationships({ writes: [rel("note:n#owner@user:b")] });
  // Which relations are roles is known too.
  await again.deliver(UserDisabledSchema, { userId: "e" });
  assert.equal((await notes.check({ subject: "user:e", permission: "edit", object: "note:n" })).allowed, false);
});

test("before the models are loaded a fact is handled all the same, and a call is told to come again", async () => {
  await using authz = await startAuthz(NOTES);
  await authz.admin.writeRelationships({ writes: [rel("note:n#editor@user:e")] });
  const early = await authz.unstarted();
  const lacks = ["the authorization models have not been loaded yet", "the registry has not answered yet"];
  assert.deepEqual(early.problems(), lacks);
  const question = { subject: "user:e", permission: "edit", object: "note:n" };
  const notes = early.as("service:notes");
  const { results } = await notes.batchCheck({ checks: [question] });
  assert.equal(results[0]?.errorReason, "AUTHZ_UNAVAILABLE");
  // Which relations are roles is in the models, and a list is complete or an error.
  assert.equal((await early.as(ADMIN).listRoleGrants({ subject: "user:e" })).roleGrants.length, 1);
  const handled = early.deliver(UserDisabledSchema, { userId: "e" });
  // The client repeats a call that comes too early.
  const answered = notes.check(question);
  await early.start();
  await Promise.all([handled, answered]);
  assert.equal((await notes.check(question)).allowed, false);
});

test("more facts than the pool has connections, before the models are loaded, hold up nothing", async () => {
  await using authz = await startAuthz(NOTES);
  const people = Array.from({ length: 8 }, (_, i) => `p${i}`);
  await authz.admin.writeRelationships({ writes: people.map((id) => rel(`note:n#editor@user:${id}`)) });
  const early = await authz.unstarted();
  const handled = people.map((userId) => early.deliver(UserDisabledSchema, { userId }));
  await Promise.all([early.start(), ...handled]);
  assert.deepEqual((await authz.admin.readRelationships({ object: "note:n" })).relationships, []);
  assert.doesNotMatch(authz.log(), /"level":"(warn|error)"/);
});

test("until the registry has answered, what is not known may be in a contract that is registered", async () => {
  await using authz = await startAuthz(NOTES);
  const answer = Promise.withResolvers<void>();
  let hasAnswered = false;
  const late = {
    ...authz.registry,
    watchAll() {
      const watch = authz.registry.watchAll();
      return { ...watch, ready: answer.promise, current: () => (hasAnswered ? watch.current() : []) };
    },
  };
  const other = await authz.another(late);
  assert.deepEqual(other.problems(), ["the registry has not answered yet"]);
  const notes = other.as("service:notes");
  const question = { subject: "service:indexer", permission: "view", object: "note:n" };
  assert.equal((await notes.check(question)).allowed, true);
  await refused("AUTHZ_UNAVAILABLE", notes.check({ ...question, permission: "fly" }));
  hasAnswered = true;
  answer.resolve();
  await eventually(() => assert.deepEqual(other.problems(), []));
  await refused("MODEL_INVALID", notes.check({ ...question, permission: "fly" }));
});

describe("the contract in force", () => {
  test("is the newest instance's, forward and back", async () => {
    await using authz = await startAuthz();
    const old = await authz.neighbour("notes", [platform("read_notes", "auditor")]);
    await authz.settled();
    assert.equal(await allowed(authz, "read_notes"), false);
    const next = await authz.neighbour("notes", [platform("read_notes", "admin"), platform("burn_notes")]);
    await authz.settled();
    assert.equal(await allowed(authz, "read_notes"), true);
    assert.equal(await allowed(authz, "burn_notes"), false);
    // The new version is taken back; those of the old one are still there.
    authz.registry.set(old.instance);
    await authz.settled();
    assert.equal(await allowed(authz, "read_notes"), false);
    await refused("MODEL_INVALID", allowed(authz, "burn_notes"));
    authz.registry.set(next.instance);
    await authz.settled();
    assert.equal(await allowed(authz, "read_notes"), true);
  });

  test("lets relationships that it does not take any more count for nothing", async () => {
    await using authz = await startAuthz(NOTES);
    const question = { subject: "user:a", permission: "view", object: "note:n" };
    await authz.admin.writeRelationships({ writes: [rel("note:n#owner@user:a")] });
    assert.equal((await authz.admin.check(question)).allowed, true);
    const relations = [{ name: "owner", subjects: ["service"] }];
    await authz.neighbour("notes", [{ name: "note", relations, permissions: [{ name: "view", anyOf: ["owner"] }] }]);
    await authz.settled();
    assert.equal((await authz.admin.check(question)).allowed, false);
    assert.deepEqual((await authz.admin.listObjects({ ...question, objectType: "note" })).objects, []);
  });

  test("is the same in all instances of Authz", async () => {
    await using authz = await startAuthz();
    await using other = await authz.another();
    await Promise.all([
      authz.neighbour("red", [platform("paint", "admin")]),
      authz.neighbour("blue", [platform("paint", "auditor")]),
    ]);
    await authz.settled();
    await eventually(() => assert.deepEqual(other.problems(), []));
    const question = { subject: "user:administrator", permission: "paint", object: PLATFORM };
    const { allowed: here } = await authz.admin.check(question);
    assert.equal((await other.as("user:administrator").check(question)).allowed, here);
    await using restarted = await authz.another();
    assert.equal((await restarted.as("user:administrator").check(question)).allowed, here);
  });
});

describe("a contract that contradicts others", () => {
  test("is refused as a whole with what is wrong, until the others make room", async () => {
    await using authz = await startAuthz();
    await authz.neighbour("first", [platform("see", "admin")]);
    await authz.settled();
    await authz.neighbour("second", [platform("see", "service:second"), platform("own", "admin")]);
    await authz.settled();
    assert.match(authz.log(), /a contract's model was refused/);
    assert.equal(await allowed(authz, "see"), true);
    const error = await refused("MODEL_INVALID", allowed(authz, "own"));
    assert.match(error.rawMessage, /second: platform\.see: is declared by "first" and cannot be changed/);
    await authz.neighbour("first", [platform("look", "admin")]);
    await eventually(async () => assert.equal(await allowed(authz, "own"), true));
    assert.equal(await allowed(authz, "see"), false);
  });

  test("takes nothing from them with a new version either, though it came first", async () => {
    await using authz = await startAuthz();
    await authz.neighbour("first", [platform("look", "admin")]);
    await authz.settled();
    await authz.neighbour("second", [platform("see", "admin")]);
    await authz.settled();
    await authz.neighbour("first", [platform("look", "admin"), platform("see", "service:first")]);
    await authz.settled();
    assert.equal(await allowed(authz, "see"), true);
    assert.equal(await allowed(authz, "look"), true);
    await using again = await authz.another();
    const question = { subject: "user:administrator", permission: "see", object: PLATFORM };
    assert.equal((await again.as("user:administrator").check(question)).allowed, true);
  });

  test("cannot touch what is Authz's own", async () => {
    await using authz = await startAuthz();
    await authz.neighbour("thief", [platform("manage_roles", "service:thief")]);
    await authz.neighbour("forger", [{ name: "group", relations: [{ name: "boss", subjects: ["user"] }] }]);
    await authz.settled();
    await refused(
      "PERMISSION_DENIED",
      authz.as("service:thief").grantRole({ subject: "user:t", role: "admin", object: PLATFORM }),
    );
    await refused(
      "PERMISSION_DENIED",
      authz.as("service:forger").writeRelationships({ writes: [rel("group:g#member@user:f")] }),
    );
  });
});
