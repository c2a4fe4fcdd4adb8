import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { refused } from "@switchboard/testkit/refused";
import { type AuthzUnderTest, rel, startAuthz } from "./authz-under-test.ts";
import { NOTES } from "./notes-model.ts";

let authz: AuthzUnderTest;
before(async () => {
  authz = await startAuthz(NOTES);
  await authz.admin.writeRelationships({
    writes: [
      "note:n#folder@folder:f",
      "folder:f#viewer@group:g#member",
      "group:g#member@user:ada",
      "note:n#owner@user:owner",
      "group:loop#member@group:loop#member",
      "folder:loop#viewer@group:loop#member",
    ].map(rel),
  });
});
after(() => authz[Symbol.asyncDispose]());

describe("Explain", () => {
  test("gives the way from the permission to the subject, a line a step", async () => {
    const why = await authz.admin.explain({ subject: "user:ada", permission: "view", object: "note:n" });
    assert.equal(why.allowed, true);
    assert.deepEqual(why.path, [
      "note:n#view",
      "folder:f#view: relationship note:n#folder@folder:f",
      'folder:f#viewer: any_of "viewer"',
      "group:g#member: relationship folder:f#viewer@group:g#member",
      "user:ada: relationship group:g#member@user:ada",
    ]);
    assert.deepEqual(why.missing, []);
  });

  test("says what would have granted it and is not there", async () => {
    const why = await authz.admin.explain({ subject: "user:bob", permission: "view", object: "note:n" });
    assert.equal(why.allowed, false);
    assert.deepEqual(why.path, []);
    assert.deepEqual(why.missing.toSorted(), [
      "no relationship folder:f#parent@…",
      "no relationship folder:f#viewer@user:bob",
      "no relationship group:g#member@user:bob",
      "no relationship note:n#editor@user:bob",
      "no relationship note:n#owner@user:bob",
      "no relationship platform:switchboard#auditor@user:bob",
      'note:n#view: any_of "service:indexer" is service:indexer alone',
    ]);
    // The mend that it names is one.
    await authz.admin.writeRelationships({ writes: [rel("note:n#editor@user:bob")] });
    const question = { subject: "user:bob", permission: "view", object: "note:n" };
    assert.equal((await authz.admin.explain(question)).allowed, true);
    assert.equal((await authz.admin.check(question)).allowed, true);
  });

  test("of a permission that nobody can hold says nothing is missing, and of a circle ends", async () => {
    const nobody = await authz.admin.explain({ subject: "user:ada", permission: "nobody", object: "note:n" });
    assert.deepEqual([nobody.allowed, nobody.missing], [false, []]);
    const loop = await authz.admin.explain({ subject: "user:ada", permission: "view", object: "folder:loop" });
    assert.deepEqual(loop.missing.toSorted(), [
      "no relationship folder:loop#parent@…",
      "no relationship folder:loop#viewer@user:ada",
      "no relationship group:loop#member@user:ada",
    ]);
  });

  test("of more than 100 missing ones lists 100 and says that there are more", async () => {
    await authz.sql`
      insert into authz.relationship select 'folder', 'wide', 'viewer', 'group', 'g' || n, 'member' from generate_series(1, 200) n`;
    const { missing } = await authz.admin.explain({ subject: "user:ada", permission: "viewer", object: "folder:wide" });
    assert.equal(missing.length, 101);
    assert.equal(missing.at(-1), "… and more");
  });

  test("says of others' services what theirs is, in their own words", async () => {
    const why = await authz
      .as("service:indexer")
      .explain({ subject: "service:indexer", permission: "view", object: "note:n" });
    assert.deepEqual(why.path, ["note:n#view", 'service:indexer: any_of "service:indexer"']);
  });

  test("is for people about themselves; too deep is an error", async () => {
    const question = { permission: "view", object: "note:n" };
    assert.equal((await authz.as("user:ada").explain({ ...question, subject: "user:me" })).allowed, true);
    await refused("PERMISSION_DENIED", authz.as("user:ada").explain({ ...question, subject: "user:bob" }));
    await authz.sql`
      insert into authz.relationship select 'folder', 'd' || n, 'parent', 'folder', 'd' || n + 1, '' from generate_series(1, 40) n`;
    const deep = { subject: "user:ada", permission: "view", object: "folder:d1" };
    await refused("GRAPH_TOO_DEEP", authz.admin.explain(deep));
  });
});
