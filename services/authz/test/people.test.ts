import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { RelationshipsChangedSchema } from "@switchboard/gen/switchboard/authz/v1/authz_events_pb";
import { UserDeletedSchema, UserDisabledSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuthzUnderTest, rel, startAuthz, textOf } from "./authz-under-test.ts";
import { NOTES } from "./notes-model.ts";

let authz: AuthzUnderTest;
before(async () => {
  authz = await startAuthz(NOTES);
});
after(() => authz[Symbol.asyncDispose]());

/** What a person of this name has, and a neighbour of theirs. */
async function given(name: string): Promise<void> {
  await authz.admin.writeRelationships({
    writes: [
      `platform:switchboard#auditor@user:${name}`,
      `note:${name}#editor@user:${name}`,
      `note:${name}#owner@user:${name}`,
      `group:${name}s#member@user:${name}`,
      `platform:switchboard#auditor@user:${name}2`,
      `note:${name}#editor@group:${name}s#member`,
    ].map(rel),
  });
}

async function held(name: string): Promise<string[]> {
  const { relationships } = await authz.admin.readRelationships({ subject: `user:${name}` });
  return relationships.map(textOf);
}

async function lastFact(): Promise<string[]> {
  const fact = (await authz.facts(RelationshipsChangedSchema)).at(-1);
  return fact?.changes.map((change) => `${change.deleted ? "-" : "+"}${textOf(change)}`).toSorted() ?? [];
}

describe("a person who", () => {
  test("is deleted has nothing left, and nobody else loses anything", async () => {
    await given("del");
    await authz.as("user:del").listRoleGrants({});
    await authz.deliver(UserDeletedSchema, { userId: "del" });
    assert.deepEqual(await held("del"), []);
    assert.deepEqual(await lastFact(), [
      "-group:dels#member@user:del",
      "-note:del#editor@user:del",
      "-note:del#owner@user:del",
      "-platform:switchboard#auditor@user:del",
    ]);
    await refused("PERMISSION_DENIED", authz.as("user:del").listRoleGrants({}));
    assert.deepEqual(await held("del2"), ["platform:switchboard#auditor@user:del2"]);
    const { relationships } = await authz.admin.readRelationships({ object: "note:del" });
    assert.deepEqual(relationships.map(textOf), ["note:del#editor@group:dels#member"]);
  });

  test("is disabled loses the roles, of every contract, and keeps the rest", async () => {
    await given("dis");
    await authz.deliver(UserDisabledSchema, { userId: "dis" });
    assert.deepEqual(await held("dis"), ["group:diss#member@user:dis", "note:dis#owner@user:dis"]);
    assert.deepEqual(await lastFact(), ["-note:dis#editor@user:dis", "-platform:switchboard#auditor@user:dis"]);
    assert.deepEqual(await held("dis2"), ["platform:switchboard#auditor@user:dis2"]);
  });

  test("is disabled loses all of very many roles", async () => {
    await authz.sql`
      insert into authz.relationship select 'note', 'e' || n, 'editor', 'user', 'busy', '' from generate_series(1, 12000) n`;
    await authz.sql`
      insert into authz.relationship select 'folder', 'e' || n, 'viewer', 'user', 'busy', '' from generate_series(1, 12000) n`;
    await authz.deliver(UserDisabledSchema, { userId: "busy" });
    const [left] = await authz.sql<{ roles: number; others: number }[]>`
      select count(*) filter (where relation = 'editor')::int roles, count(*) filter (where relation = 'viewer')::int others
      from authz.relationship where subject_id = 'busy'`;
    assert.deepEqual({ ...left }, { roles: 0, others: 12000 });
    assert.equal((await authz.facts(RelationshipsChangedSchema)).at(-1)?.truncated, true);
  });

  test("has nothing to lose changes nothing, and the same fact again neither", async () => {
    const before = await authz.facts(RelationshipsChangedSchema);
    await authz.deliver(UserDeletedSchema, { userId: "del" });
    await authz.deliver(UserDisabledSchema, { userId: "stranger" });
    assert.deepEqual(await authz.facts(RelationshipsChangedSchema), before);
  });
});
