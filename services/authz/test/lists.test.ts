import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { refused } from "@switchboard/testkit/refused";
import { ADMIN, type Authz, type AuthzUnderTest, rel, startAuthz } from "./authz-under-test.ts";
import { NOTES } from "./notes-model.ts";

let authz: AuthzUnderTest;
before(async () => {
  authz = await startAuthz(NOTES);
});
after(() => authz[Symbol.asyncDispose]());

const write = (...texts: string[]) => authz.admin.writeRelationships({ writes: texts.map(rel) });

type ObjectsQuery = { subject: string; permission: string; objectType: string; pageSize?: number };
type SubjectsQuery = { object: string; permission: string; subjectType: string; pageSize?: number };

/** All pages; `between` runs after each. */
async function objects(
  query: ObjectsQuery,
  client: Authz = authz.admin,
  between?: (seen: string[]) => Promise<unknown>,
) {
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await client.listObjects({ pageSize: 1000, ...query, pageToken });
    seen.push(...page.objects);
    pageToken = page.nextPageToken;
    await between?.(seen);
  } while (pageToken !== "");
  return seen;
}

async function subjects(query: SubjectsQuery) {
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await authz.admin.listSubjects({ pageSize: 1000, ...query, pageToken });
    seen.push(...page.subjects);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return seen;
}

describe("ListObjects", () => {
  test("has all, directly, by groups, by parents, each once, in order of their ids", async () => {
    await write(
      "note:b#owner@user:lister",
      "note:b#editor@group:list#member",
      "note:a#editor@group:list#member",
      "group:list#member@user:lister",
      "folder:top#viewer@user:lister",
      "folder:below#parent@folder:top",
      "note:C#folder@folder:below",
      "note:other#owner@user:other",
    );
    const query = { subject: "user:lister", permission: "view", objectType: "note" };
    assert.deepEqual(await objects(query), ["note:C", "note:a", "note:b"]);
    assert.deepEqual(await objects({ ...query, permission: "edit" }), ["note:a", "note:b"]);
    assert.deepEqual(await objects({ ...query, permission: "owner" }), ["note:b"]);
    assert.deepEqual(await objects({ ...query, objectType: "folder" }), ["folder:below", "folder:top"]);
    assert.deepEqual(await objects({ ...query, subject: "user:nobody" }), []);
    for (const object of await objects(query)) {
      assert.equal((await authz.admin.check({ subject: "user:lister", permission: "view", object })).allowed, true);
    }
  });

  test("gives 1,000 objects over several pages while others come and go", async () => {
    await authz.sql`
      insert into authz.relationship select 'note', 't' || n, 'owner', 'user', 'many', '' from generate_series(1, 1000) n`;
    const query = { subject: "user:many", permission: "view", objectType: "note" };
    assert.equal((await authz.admin.listObjects(query)).objects.length, 100);
    const seen = await objects({ ...query, pageSize: 137 }, authz.admin, async (sofar) => {
      await write(`note:s${sofar.length}#owner@user:many`);
      await authz.admin.writeRelationships({ deletes: [rel(`${sofar[0]}#owner@user:many`)] });
    });
    assert.equal(seen.length, 1000);
    assert.equal(new Set(seen).size, 1000);
    assert.deepEqual(seen, seen.toSorted());
  });

  test("of more than it can hold is an error, and no part of the list", async () => {
    await authz.sql`
      insert into authz.relationship select 'note', 'x' || n, 'owner', 'user', 'hoarder', '' from generate_series(1, 100001) n`;
    const query = { subject: "user:hoarder", permission: "owner", objectType: "note", pageSize: 10 };
    await refused("GRAPH_TOO_DEEP", authz.admin.listObjects(query));
    await authz.sql`delete from authz.relationship where subject_id = 'hoarder'`;
    await refused("GRAPH_TOO_DEEP", objects(await deepChain("objects")));
  });

  test("says where every object is meant, those included that Authz does not know", async () => {
    await write("platform:switchboard#auditor@user:auditor", "note:a#owner@user:somebody");
    const every = { subject: "user:auditor", permission: "view", objectType: "note", pageSize: 1000 };
    const page = await authz.admin.listObjects(every);
    assert.equal(page.everyObject, true);
    assert.ok(page.objects.includes("note:a"));
    const fixed = await authz.admin.listObjects({ ...every, subject: "service:indexer" });
    assert.equal(fixed.everyObject, true);
    assert.deepEqual(fixed.objects, page.objects);
    assert.equal((await authz.admin.listObjects({ ...every, permission: "edit" })).everyObject, false);
  });

  test("ends where groups and parents go round", async () => {
    await write(
      "group:r1#member@group:r2#member",
      "group:r2#member@group:r1#member",
      "folder:r#parent@folder:r",
      "folder:r#viewer@group:r1#member",
      "group:r2#member@user:rounder",
    );
    const query = { subject: "user:rounder", permission: "view", objectType: "folder" };
    assert.deepEqual(await objects(query), ["folder:r"]);
  });

  test("is for people about themselves, and for services", async () => {
    const query = { subject: "user:lister", permission: "edit", objectType: "note" };
    assert.equal((await objects({ ...query, subject: "user:me" }, authz.as("user:lister"))).length, 2);
    assert.equal((await objects(query, authz.as("service:notes"))).length, 2);
    await refused("PERMISSION_DENIED", authz.as("user:other").listObjects(query));
  });
});

describe("ListSubjects", () => {
  test("resolves groups, roles and fixed subjects, each once, in order", async () => {
    await write(
      "note:s#owner@user:zoe",
      "note:s#editor@group:s#member",
      "group:s#member@user:zoe",
      "group:s#member@user:Bob",
      "group:s#member@service:robot",
      "group:s#member@group:t#member",
      "group:t#member@user:amy",
      "group:t#member@group:s#member",
    );
    const query = { object: "note:s", permission: "edit", subjectType: "user" };
    assert.deepEqual(await subjects(query), ["user:Bob", "user:amy", "user:zoe"]);
    assert.deepEqual(await subjects({ ...query, pageSize: 1 }), ["user:Bob", "user:amy", "user:zoe"]);
    assert.deepEqual(await subjects({ ...query, subjectType: "service" }), ["service:robot"]);
    assert.deepEqual(await subjects({ ...query, permission: "view", subjectType: "service" }), [
      "service:indexer",
      "service:robot",
    ]);
    assert.deepEqual(await subjects({ ...query, subjectType: "note" }), []);
    assert.deepEqual(await subjects({ ...query, object: "note:unheard-of" }), []);
  });

  test("gives 1,000 people over several pages, and of too many none", async () => {
    await authz.sql`
      insert into authz.relationship select 'folder', 'fans', 'viewer', 'user', 'f' || n, '' from generate_series(1, 1000) n`;
    const query = { object: "folder:fans", permission: "view", subjectType: "user" };
    const seen = await subjects({ ...query, pageSize: 300 });
    assert.equal(new Set(seen).size, 1000);
    assert.deepEqual(seen, seen.toSorted());
    const { subject: _, objectType: __, ...deep } = { ...(await deepChain("subjects")), subjectType: "user" };
    await refused("GRAPH_TOO_DEEP", subjects({ ...deep, object: "folder:subjects" }));
  });

  test("is for administrators and auditors", async () => {
    const query = { object: "note:s", permission: "edit", subjectType: "user" };
    await refused("PERMISSION_DENIED", authz.as("user:zoe").listSubjects(query));
    await refused("PERMISSION_DENIED", authz.as("service:notes").listSubjects(query));
  });
});

/** A folder that a person views through 40 groups, one in another. */
async function deepChain(name: string): Promise<ObjectsQuery> {
  const group = (depth: number) => `group:${name}${depth}`;
  await write(
    `folder:${name}#viewer@${group(1)}#member`,
    ...Array.from({ length: 39 }, (_, i) => `${group(i + 1)}#member@${group(i + 2)}#member`),
    `${group(40)}#member@user:${name}`,
  );
  return { subject: `user:${name}`, permission: "view", objectType: "folder" };
}

describe("a list that cannot be made is refused:", () => {
  const objectsOf = { subject: ADMIN, permission: "view", objectType: "note" };
  const subjectsOf = { object: "note:s", permission: "view", subjectType: "user" };

  test("malformed fields, by name", async () => {
    for (const [field, value] of [
      ["subject", "ada"],
      ["subject", "group:g#member"],
      ["permission", ""],
      ["permission", "a\0b"],
      ["object_type", ""],
      ["object_type", "note:"],
    ] as const) {
      const key = field === "object_type" ? "objectType" : field;
      const error = await refused("INVALID_FIELD", authz.admin.listObjects({ ...objectsOf, [key]: value }));
      assert.deepEqual(error.fields, [field]);
    }
    for (const [field, value] of [
      ["object", "note:"],
      ["permission", "View"],
      ["subject_type", ""],
      ["subject_type", "user#"],
    ] as const) {
      const key = field === "subject_type" ? "subjectType" : field;
      const error = await refused("INVALID_FIELD", authz.admin.listSubjects({ ...subjectsOf, [key]: value }));
      assert.deepEqual(error.fields, [field]);
    }
    for (const call of [
      () => authz.admin.listObjects({ ...objectsOf, pageSize: -1 }),
      () => authz.admin.listSubjects({ ...subjectsOf, pageSize: -1 }),
    ]) {
      assert.deepEqual((await refused("INVALID_FIELD", call())).fields, ["page_size"]);
    }
  });

  test("types and permissions that no contract declares", async () => {
    await refused("MODEL_INVALID", authz.admin.listObjects({ ...objectsOf, objectType: "nota" }));
    await refused("MODEL_INVALID", authz.admin.listObjects({ ...objectsOf, permission: "fly" }));
    await refused("MODEL_INVALID", authz.admin.listObjects({ ...objectsOf, subject: "usr:a" }));
    await refused("MODEL_INVALID", authz.admin.listSubjects({ ...subjectsOf, subjectType: "usr" }));
    await refused("MODEL_INVALID", authz.admin.listSubjects({ ...subjectsOf, permission: "fly" }));
    await refused("MODEL_INVALID", authz.admin.listSubjects({ ...subjectsOf, object: "nota:s" }));
  });

  test("page tokens of another list or query, damaged or old", async () => {
    const { nextPageToken: ofObjects } = await authz.admin.listObjects({
      ...objectsOf,
      subject: "user:many",
      pageSize: 1,
    });
    const { nextPageToken: ofSubjects } = await authz.admin.listSubjects({ ...subjectsOf, pageSize: 1 });
    assert.ok(ofObjects !== "" && ofSubjects !== "");
    const many = { ...objectsOf, subject: "user:many" };
    for (const call of [
      () => authz.admin.listObjects({ ...many, pageToken: ofSubjects }),
      () => authz.admin.listObjects({ ...many, pageToken: "nonsense" }),
      () => authz.admin.listObjects({ ...objectsOf, pageToken: ofObjects }),
      () => authz.admin.listObjects({ ...many, permission: "edit", pageToken: ofObjects }),
      () => authz.admin.listObjects({ ...many, objectType: "folder", pageToken: ofObjects }),
      () => authz.admin.listSubjects({ ...subjectsOf, pageToken: ofObjects }),
      () => authz.admin.listSubjects({ ...subjectsOf, subjectType: "service", pageToken: ofSubjects }),
      () => authz.admin.listSubjects({ ...subjectsOf, object: "note:a", pageToken: ofSubjects }),
    ]) {
      await refused("INVALID_PAGE_TOKEN", call());
    }
    assert.equal((await authz.admin.listObjects({ ...many, pageSize: 5, pageToken: ofObjects })).objects.length, 5);
    authz.clock.advance(24 * 3_600_000 + 1);
    await refused("INVALID_PAGE_TOKEN", authz.admin.listObjects({ ...many, pageToken: ofObjects }));
  });
});
