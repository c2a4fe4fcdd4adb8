import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { RelationshipsChangedSchema } from "@switchboard/gen/switchboard/authz/v1/authz_events_pb";
import { refused } from "@switchboard/testkit/refused";
import { ADMIN, type AuthzUnderTest, rel, startAuthz, textOf } from "./authz-under-test.ts";
import { NOTES } from "./notes-model.ts";

let authz: AuthzUnderTest;
before(async () => {
  authz = await startAuthz(NOTES);
});
after(() => authz[Symbol.asyncDispose]());

const write = (...texts: string[]) => authz.admin.writeRelationships({ writes: texts.map(rel) });

async function read(query: { object?: string; relation?: string; subject?: string }, client = authz.admin) {
  return (await client.readRelationships({ pageSize: 1000, ...query })).relationships.map(textOf);
}

async function lastFact() {
  const fact = (await authz.facts(RelationshipsChangedSchema)).at(-1) ?? assert.fail("no fact was published");
  return { ...fact, changes: fact.changes.map((change) => `${change.deleted ? "-" : "+"}${textOf(change)}`) };
}

describe("WriteRelationships", () => {
  test("writes and deletes in one transaction, and tells what changed", async () => {
    await write("note:a#owner@user:one", "note:a#editor@group:g#member");
    const { consistencyToken } = await authz.admin.writeRelationships({
      writes: [rel("note:a#owner@user:two"), rel("note:a#editor@group:g#member"), rel("note:a#owner@user:two")],
      deletes: [rel("note:a#owner@user:one"), rel("note:a#owner@user:never")],
    });
    assert.deepEqual(await read({ object: "note:a" }), ["note:a#editor@group:g#member", "note:a#owner@user:two"]);
    const fact = await lastFact();
    assert.deepEqual(fact.changes, ["-note:a#owner@user:one", "+note:a#owner@user:two"]);
    assert.equal(`r${fact.revision}`, consistencyToken);
    assert.equal(fact.truncated, false);
  });

  test("that changes nothing tells nothing", async () => {
    await write("note:still#owner@user:one");
    const before = await authz.facts(RelationshipsChangedSchema);
    await write("note:still#owner@user:one");
    await authz.admin.writeRelationships({ deletes: [rel("note:still#owner@user:never")] });
    await authz.admin.writeRelationships({});
    assert.deepEqual(await authz.facts(RelationshipsChangedSchema), before);
  });

  test("takes 1,000 changes, told as a whole; more are refused, and nothing is written", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => rel(`note:many#owner@user:u${i}`));
    const error = await refused("INVALID_FIELD", authz.admin.writeRelationships({ writes: many(1001) }));
    assert.deepEqual(error.fields, ["writes"]);
    assert.deepEqual(await read({ object: "note:many" }), []);
    await authz.admin.writeRelationships({ writes: many(1000) });
    assert.equal((await read({ object: "note:many" })).length, 1000);
    assert.deepEqual((await lastFact()).changes, []);
    assert.equal((await lastFact()).truncated, true);
    await authz.admin.writeRelationships({ deletes: many(1000) });
    assert.deepEqual(await read({ object: "note:many" }), []);
  });

  test("refuses what is in writes and in deletes", async () => {
    const both = { writes: [rel("note:b#owner@user:b")], deletes: [rel("note:b#owner@user:b")] };
    assert.deepEqual((await refused("INVALID_FIELD", authz.admin.writeRelationships(both))).fields, ["deletes[0]"]);
  });

  for (const [text, field] of [
    ["nota:n#owner@user:a", "writes[1]"],
    ["note:n#onwer@user:a", "writes[1]"],
    ["note:n#view@user:a", "writes[1]"],
    ["note:n#owner@service:a", "writes[1]"],
    ["note:n#owner@group:g#member", "writes[1]"],
    ["note:n#editor@group:g", "writes[1]"],
    ["note:n#editor@group:g#boss", "writes[1]"],
    ["note:#owner@user:a", "writes[1].object"],
    ["note:n#@user:a", "writes[1].relation"],
    ["note:n#Owner@user:a", "writes[1].relation"],
    ["note:n#own\0er@user:a", "writes[1].relation"],
    ["note:n#owner@user", "writes[1].subject"],
    ["note:n#owner@user:a\0b", "writes[1].subject"],
    ["note:n#owner@user:*", "writes[1].subject"],
  ] as const) {
    test(`refuses ${JSON.stringify(text)}, and with it all that came with it`, async () => {
      const writes = [rel("note:whole#owner@user:a"), rel(text)];
      const error = await refused("INVALID_FIELD", authz.admin.writeRelationships({ writes }));
      assert.deepEqual(error.fields, [field]);
      assert.deepEqual(await read({ object: "note:whole" }), []);
    });
  }

  test("says which subjects a relation takes", async () => {
    const error = await refused("INVALID_FIELD", write("note:n#editor@service:a"));
    assert.match(error.rawMessage, /takes: user, group#member/);
  });

  test("refuses malformed deletes, and takes those of relations that nobody declares any more", async () => {
    await authz.sql`insert into authz.relationship values ('note', 'old', 'reader', 'user', 'a', '')`;
    const bad = { deletes: [{ object: "note:old", relation: "rea\0der", subject: "user:a" }] };
    assert.deepEqual((await refused("INVALID_FIELD", authz.admin.writeRelationships(bad))).fields, [
      "deletes[0].relation",
    ]);
    assert.deepEqual(await read({ object: "note:old" }), ["note:old#reader@user:a"]);
    await authz.admin.writeRelationships({ deletes: [rel("note:old#reader@user:a")] });
    assert.deepEqual(await read({ object: "note:old" }), []);
  });

  test("with `me` means the caller, and of a service nobody", async () => {
    await write("note:my#owner@user:me");
    assert.deepEqual(await read({ object: "note:my" }), [`note:my#owner@${ADMIN}`]);
    const service = authz.as("service:notes");
    const error = await refused("INVALID_FIELD", service.writeRelationships({ writes: [rel("note:m#owner@user:me")] }));
    assert.deepEqual(error.fields, ["writes[0].subject"]);
  });

  test("is for administrators, and for services about the types that their own contract declares", async () => {
    const ada = authz.as("user:ada");
    const error = await refused(
      "PERMISSION_DENIED",
      ada.writeRelationships({ writes: [rel("note:x#owner@user:ada")] }),
    );
    assert.match(error.rawMessage, /"manage_relationships" on platform:switchboard/);
    const notes = authz.as("service:notes");
    await notes.writeRelationships({ writes: [rel("note:own#owner@user:ada")] });
    await notes.writeRelationships({ deletes: [rel("note:own#owner@user:ada")] });
    for (const text of ["platform:switchboard#admin@user:ada", "group:g#member@user:ada"]) {
      await refused("PERMISSION_DENIED", notes.writeRelationships({ writes: [rel(text)] }));
      await refused("PERMISSION_DENIED", notes.writeRelationships({ deletes: [rel(text)] }));
      // One that is not its own spoils the others.
      await refused("PERMISSION_DENIED", notes.writeRelationships({ writes: [rel("note:q#owner@user:a"), rel(text)] }));
    }
    const other = authz.as("service:other").writeRelationships({ writes: [rel("note:x#owner@user:ada")] });
    await refused("PERMISSION_DENIED", other);
    assert.deepEqual(await read({ object: "note:q" }), []);
  });

  test("repeated under one request_id is done once, and answered the same", async () => {
    const request = { writes: [rel("note:once#owner@user:a")], requestId: newId() };
    const [first, second] = await Promise.all([
      authz.admin.writeRelationships(request),
      authz.admin.writeRelationships(request),
    ]);
    assert.deepEqual(second, first);
    await authz.admin.writeRelationships({ deletes: request.writes });
    assert.deepEqual(await authz.admin.writeRelationships(request), first);
    assert.deepEqual(await read({ object: "note:once" }), []);
    const other = { writes: [rel("note:once#owner@user:b")], requestId: request.requestId };
    await refused("REQUEST_ID_REUSED", authz.admin.writeRelationships(other));
    await refused("INVALID_FIELD", authz.admin.writeRelationships({ ...other, requestId: "7" }));
    assert.deepEqual(await read({ object: "note:once" }), []);
  });

  test("of many at once loses none and tells each, in order", async () => {
    const before = (await authz.facts(RelationshipsChangedSchema)).length;
    await Promise.all(Array.from({ length: 30 }, (_, i) => write(`note:race#owner@user:u${i}`)));
    assert.equal((await read({ object: "note:race" })).length, 30);
    const facts = (await authz.facts(RelationshipsChangedSchema)).slice(before);
    assert.equal(facts.length, 30);
    const revisions = facts.map(({ revision }) => revision);
    assert.deepEqual(
      revisions,
      revisions.map((_, i) => (revisions[0] ?? 0n) + BigInt(i)),
    );
  });

  test("never takes the last administrator away, directly or through a group", async () => {
    const last = { deletes: [rel(`platform:switchboard#admin@${ADMIN}`)] };
    await refused("WRONG_STATE", authz.admin.writeRelationships(last));
    await write("platform:switchboard#admin@group:ops#member");
    const error = await refused("WRONG_STATE", authz.admin.writeRelationships(last));
    assert.match(error.rawMessage, /make another administrator first/);
    await write("group:ops#member@user:operator");
    await authz.admin.writeRelationships(last);
    const operator = authz.as("user:operator");
    await refused("WRONG_STATE", operator.writeRelationships({ deletes: [rel("group:ops#member@user:operator")] }));
    await operator.writeRelationships({ writes: last.deletes });
    await operator.writeRelationships({ deletes: [rel("group:ops#member@user:operator")] });
    assert.deepEqual(await read({ relation: "member" }), []);
  });

  test("takes members out of groups where administrators are very many, or groups too deep in one another", async () => {
    await authz.sql`
      insert into authz.relationship select 'group', 'crowd', 'member', 'user', 'c' || n, '' from generate_series(1, 100001) n`;
    const chain = Array.from({ length: 40 }, (_, i) => `group:deep${i}#member@group:deep${i + 1}#member`);
    const roles = ["crowd", "deep0"].map((group) => `platform:switchboard#admin@group:${group}#member`);
    await write(...roles, ...chain, "group:crew#member@user:mate");
    await authz.admin.writeRelationships({ deletes: [rel("group:crew#member@user:mate")] });
    await authz.admin.writeRelationships({ deletes: [...chain, ...roles].map(rel) });
    await authz.sql`delete from authz.relationship where object_id = 'crowd'`;
    assert.deepEqual(await read({ relation: "member" }), []);
  });
});

describe("ReadRelationships", () => {
  before(async () => {
    await write("note:r1#owner@user:reader", "note:r1#editor@group:readers#member", "note:r2#owner@user:reader");
  });

  test("matches every field that is given, in one order", async () => {
    assert.deepEqual(await read({ object: "note:r1" }), [
      "note:r1#editor@group:readers#member",
      "note:r1#owner@user:reader",
    ]);
    assert.deepEqual(await read({ subject: "user:reader" }), [
      "note:r1#owner@user:reader",
      "note:r2#owner@user:reader",
    ]);
    assert.deepEqual(await read({ object: "note:", relation: "owner", subject: "user:reader" }), [
      "note:r1#owner@user:reader",
      "note:r2#owner@user:reader",
    ]);
    assert.deepEqual(await read({ subject: "group:readers#member" }), ["note:r1#editor@group:readers#member"]);
    assert.deepEqual(await read({ subject: "group:readers" }), []);
    assert.deepEqual(await read({ object: "nothing:" }), []);
  });

  test("goes through many pages without loss or doubles, while others write", async () => {
    await authz.sql`
      insert into authz.relationship select 'note', 'p' || n, 'owner', 'user', 'u' || n, '' from generate_series(1, 1000) n`;
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await authz.admin.readRelationships({
        object: "note:",
        relation: "owner",
        pageSize: 137,
        pageToken,
      });
      seen.push(...page.relationships.map(textOf));
      pageToken = page.nextPageToken;
      await write(`note:zz${seen.length}#owner@user:late`);
    } while (pageToken !== "");
    assert.equal(new Set(seen).size, seen.length);
    assert.equal(seen.filter((text) => text.startsWith("note:p")).length, 1000);
    assert.deepEqual(seen, seen.toSorted());
  });

  test("has 100 on a page unless asked, and at most 1,000", async () => {
    const of = async (pageSize: number) =>
      (await authz.admin.readRelationships({ object: "note:", pageSize })).relationships.length;
    assert.deepEqual([await of(0), await of(7), await of(5000)], [100, 7, 1000]);
    assert.deepEqual((await refused("INVALID_FIELD", authz.admin.readRelationships({ pageSize: -1 }))).fields, [
      "page_size",
    ]);
  });

  test("refuses a page token of another list or query, and one that is damaged or old", async () => {
    const query = { object: "note:", pageSize: 1 };
    const { nextPageToken: pageToken } = await authz.admin.readRelationships(query);
    await refused("INVALID_PAGE_TOKEN", authz.admin.readRelationships({ pageToken }));
    await refused("INVALID_PAGE_TOKEN", authz.admin.readRelationships({ ...query, relation: "owner", pageToken }));
    await refused("INVALID_PAGE_TOKEN", authz.admin.listRoleGrants({ pageToken }));
    const list = { subject: ADMIN, permission: "view", objectType: "note", pageToken };
    await refused("INVALID_PAGE_TOKEN", authz.admin.listObjects(list));
    await refused("INVALID_PAGE_TOKEN", authz.admin.readRelationships({ ...query, pageToken: `${pageToken}x` }));
    assert.equal((await authz.admin.readRelationships({ ...query, pageToken })).relationships.length, 1);
    authz.clock.advance(24 * 3_600_000 + 1);
    await refused("INVALID_PAGE_TOKEN", authz.admin.readRelationships({ ...query, pageToken }));
  });

  for (const [field, value] of [
    ["object", "note"],
    ["object", ":n"],
    ["object", "Note:"],
    ["relation", "Owner"],
    ["relation", "own\0er"],
    ["subject", "user:"],
    ["subject", "user:a#"],
  ] as const) {
    test(`refuses ${field} ${JSON.stringify(value)}`, async () => {
      const error = await refused("INVALID_FIELD", authz.admin.readRelationships({ [field]: value }));
      assert.deepEqual(error.fields, [field]);
    });
  }

  test("is for administrators and auditors, and for services about their own types", async () => {
    await refused("PERMISSION_DENIED", authz.as("user:ada").readRelationships({ object: "note:r1" }));
    const notes = authz.as("service:notes");
    assert.equal((await read({ object: "note:r1" }, notes)).length, 2);
    assert.equal((await read({ object: "note:", subject: "user:reader" }, notes)).length, 2);
    await refused("PERMISSION_DENIED", notes.readRelationships({}));
    await refused("PERMISSION_DENIED", notes.readRelationships({ subject: "user:reader" }));
    await refused("PERMISSION_DENIED", notes.readRelationships({ object: "platform:" }));
    await refused("PERMISSION_DENIED", authz.as("service:other").readRelationships({ object: "note:r1" }));
    await authz.admin.grantRole({ subject: "user:inspector", role: "auditor", object: "platform:switchboard" });
    assert.equal((await read({ object: "note:r1" }, authz.as("user:inspector"))).length, 2);
  });
});
