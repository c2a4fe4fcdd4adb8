import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { eventually } from "@switchboard/testkit/eventually";
import { refused } from "@switchboard/testkit/refused";
import { ADMIN, type AuthzUnderTest, rel, startAuthz } from "./authz-under-test.ts";
import { NOTES } from "./notes-model.ts";

let authz: AuthzUnderTest;
before(async () => {
  authz = await startAuthz(NOTES);
});
after(() => authz[Symbol.asyncDispose]());

const write = (...texts: string[]) => authz.admin.writeRelationships({ writes: texts.map(rel) });
const unwrite = (...texts: string[]) => authz.admin.writeRelationships({ deletes: texts.map(rel) });

async function allowed(subject: string, permission: string, object: string): Promise<boolean> {
  return (await authz.admin.check({ subject, permission, object })).allowed;
}

describe("Check", () => {
  test("denies by default", async () => {
    assert.equal(await allowed("user:nobody", "view", "note:unheard-of"), false);
    assert.equal(await allowed("user:nobody", "nobody", "note:unheard-of"), false);
    assert.equal(await allowed(ADMIN, "nobody", "note:unheard-of"), false);
  });

  test("follows relations, permissions, groups in groups, parents of parents, roles, fixed subjects", async () => {
    await write(
      "note:n#owner@user:owner",
      "note:n#folder@folder:inner",
      "folder:inner#parent@folder:outer",
      "folder:outer#viewer@group:all#member",
      "group:all#member@group:some#member",
      "group:some#member@user:member",
      "platform:switchboard#auditor@user:auditor",
    );
    assert.equal(await allowed("user:owner", "owner", "note:n"), true);
    assert.equal(await allowed("user:owner", "edit", "note:n"), true);
    assert.equal(await allowed("user:member", "view", "note:n"), true);
    assert.equal(await allowed("user:member", "edit", "note:n"), false);
    assert.equal(await allowed("user:auditor", "view", "note:another"), true);
    assert.equal(await allowed("service:indexer", "view", "note:another"), true);
    assert.equal(await allowed("service:other", "view", "note:another"), false);
    await unwrite("group:all#member@group:some#member");
    assert.equal(await allowed("user:member", "view", "note:n"), false);
  });

  test("tells ids apart by letter case, and type from type", async () => {
    await write("note:Case#owner@user:Case");
    assert.equal(await allowed("user:Case", "edit", "note:Case"), true);
    assert.equal(await allowed("user:case", "edit", "note:Case"), false);
    assert.equal(await allowed("user:Case", "edit", "note:case"), false);
    assert.equal(await allowed("service:Case", "edit", "note:Case"), false);
  });

  test("answers no, and at once, in groups and parents that go round", async () => {
    await write(
      "group:a#member@group:b#member",
      "group:b#member@group:c#member",
      "group:c#member@group:a#member",
      "folder:x#parent@folder:y",
      "folder:y#parent@folder:x",
      "folder:x#parent@folder:x",
      "folder:y#viewer@group:a#member",
      "note:round#folder@folder:x",
    );
    assert.equal(await allowed("user:lost", "view", "note:round"), false);
    await write("group:c#member@user:found");
    assert.equal(await allowed("user:found", "view", "note:round"), true);
  });

  test("follows 31 groups in one another; more are an error, whatever the answer would be", async () => {
    const chain = (name: string, length: number) => [
      `folder:${name}#viewer@group:${name}1#member`,
      ...Array.from({ length: length - 1 }, (_, i) => `group:${name}${i + 1}#member@group:${name}${i + 2}#member`),
      `group:${name}${length}#member@user:deep`,
    ];
    await write(...chain("fits", 31), ...chain("deep", 32));
    assert.equal(await allowed("user:deep", "viewer", "folder:fits"), true);
    for (const subject of ["user:deep", "user:stranger"]) {
      const error = await refused(
        "GRAPH_TOO_DEEP",
        authz.admin.check({ subject, permission: "viewer", object: "folder:deep" }),
      );
      assert.match(error.rawMessage, /nest groups and parents less deep/);
    }
  });

  test("of more than 10,000 sets, says that they are too many", async () => {
    await authz.sql`
      insert into authz.relationship select 'folder', 'wide', 'viewer', 'group', 'g' || n, 'member' from generate_series(1, 10001) n`;
    const question = { permission: "view", object: "folder:wide" };
    const error = await refused("GRAPH_TOO_DEEP", authz.admin.check({ subject: "user:stranger", ...question }));
    assert.match(error.rawMessage, /more than 10000/);
    await write("folder:wide#viewer@user:direct");
    assert.equal(await allowed("user:direct", "view", "folder:wide"), true);
  });

  test("of 20,000 people who may, finds the one that is asked about", async () => {
    await authz.sql`
      insert into authz.relationship select 'folder', 'popular', 'viewer', 'user', 'fan' || n, '' from generate_series(1, 20000) n`;
    assert.equal(await allowed("user:fan19999", "view", "folder:popular"), true);
    assert.equal(await allowed("user:fan20001", "view", "folder:popular"), false);
  });

  test("gives a token that grows with changes and with nothing else", async () => {
    const ask = async () =>
      (await authz.admin.check({ subject: "user:t", permission: "edit", object: "note:t" })).consistencyToken;
    const before = await ask();
    const { consistencyToken } = await write("note:t#owner@user:t");
    assert.notEqual(consistencyToken, before);
    assert.equal(await ask(), consistencyToken);
    assert.equal((await write("note:t#owner@user:t")).consistencyToken, consistencyToken);
    assert.equal(await ask(), consistencyToken);
    const fixed = { subject: "service:indexer", permission: "view", object: "note:t" };
    assert.equal((await authz.admin.check(fixed)).consistencyToken, consistencyToken);
  });

  test("never answers out of two states of which neither allows", async () => {
    // Either the folder has the group, or the group has the person: never both.
    const [outer, inner] = ["folder:flip#viewer@group:flip#member", "group:flip#member@user:flip"].map(rel);
    assert.ok(outer && inner);
    await authz.admin.writeRelationships({ writes: [outer] });
    let over = false;
    const flipping = (async () => {
      for (let round = 0; round < 150; round++) {
        await authz.admin.writeRelationships({ writes: [inner], deletes: [outer] });
        await authz.admin.writeRelationships({ writes: [outer], deletes: [inner] });
      }
      over = true;
    })();
    let checks = 0;
    while (!over) {
      const answers = await Promise.all(Array.from({ length: 4 }, () => allowed("user:flip", "view", "folder:flip")));
      assert.ok(!answers.includes(true), `it was allowed in check ${checks}`);
      checks += answers.length;
    }
    await flipping;
    assert.ok(checks > 100);
  });
});

describe("a question that cannot be answered is refused:", () => {
  const good = { subject: "user:a", permission: "view", object: "note:n" };
  for (const [field, value] of [
    ["subject", ""],
    ["subject", "ada"],
    ["subject", "group:g#member"],
    ["subject", "user:"],
    ["subject", "User:a"],
    ["object", ""],
    ["object", "note:a b"],
    ["object", "note:a\n"],
    ["object", `note:${"x".repeat(129)}`],
    ["object", "note:n#owner"],
    ["permission", ""],
    ["permission", "View"],
    ["permission", "a\0b"],
    ["permission", "x".repeat(100_000)],
  ] as const) {
    test(`${field} ${JSON.stringify(value.slice(0, 140))}`, async () => {
      for (const call of [authz.admin.check, authz.admin.explain]) {
        const error = await refused("INVALID_FIELD", call({ ...good, [field]: value }));
        assert.deepEqual(error.fields, [field]);
        assert.ok(error.rawMessage.length < 500);
      }
    });
  }

  test("ids of 128 characters, of all that are allowed, are none of these", async () => {
    const id = `${"x".repeat(120)}.A_~@+-9`;
    assert.equal(await allowed(`user:${id}`, "view", `note:${id}`), false);
  });

  test("a type, or a permission, that no contract declares, with what there is", async () => {
    const type = await refused("MODEL_INVALID", authz.admin.check({ ...good, object: "nota:n" }));
    assert.match(
      type.rawMessage,
      /no registered contract declares the type "nota"; check the name, or start the service/,
    );
    await refused("MODEL_INVALID", authz.admin.check({ ...good, subject: "usr:a" }));
    const permission = await refused("MODEL_INVALID", authz.admin.check({ ...good, permission: "veiw" }));
    assert.match(
      permission.rawMessage,
      /declares "veiw" on type "note", which has edit, editor, folder, .*view; check/,
    );
    await refused("MODEL_INVALID", authz.admin.explain({ ...good, permission: "veiw" }));
  });
});

describe("who may ask:", () => {
  test("people about themselves, under their id or as `me`", async () => {
    await write("note:mine#owner@user:me-myself");
    const own = authz.as("user:me-myself");
    const question = { permission: "edit", object: "note:mine" };
    assert.equal((await own.check({ ...question, subject: "user:me-myself" })).allowed, true);
    assert.equal((await own.check({ ...question, subject: "user:me" })).allowed, true);
    const error = await refused("PERMISSION_DENIED", own.check({ ...question, subject: "user:other" }));
    assert.match(error.rawMessage, /view_relationships/);
    await refused("PERMISSION_DENIED", own.explain({ ...question, subject: "user:other" }));
  });

  test("services about everybody, but as `me` about nobody", async () => {
    const service = authz.as("service:whatever");
    const question = { permission: "edit", object: "note:mine" };
    assert.equal((await service.check({ ...question, subject: "user:me-myself" })).allowed, true);
    assert.deepEqual((await refused("INVALID_FIELD", service.check({ ...question, subject: "user:me" }))).fields, [
      "subject",
    ]);
  });

  test("auditors about everybody, until they are none any more", async () => {
    const auditor = { subject: "user:inspector", role: "auditor", object: "platform:switchboard" };
    const question = { subject: "user:me-myself", permission: "edit", object: "note:mine" };
    await authz.admin.grantRole(auditor);
    assert.equal((await authz.as("user:inspector").check(question)).allowed, true);
    await authz.admin.revokeRole(auditor);
    await refused("PERMISSION_DENIED", authz.as("user:inspector").check(question));
  });
});

describe("BatchCheck", () => {
  test("answers each check in its place, or says what kept it", async () => {
    await write("note:batch#owner@user:batch");
    const check = { subject: "user:batch", permission: "edit", object: "note:batch" };
    const { results, consistencyToken } = await authz.admin.batchCheck({
      checks: [
        check,
        { ...check, subject: "user:other" },
        { ...check, object: "nonsense" },
        { ...check, permission: "fly" },
        { ...check, permission: "viewer", object: "folder:deep" },
        check,
      ],
    });
    assert.deepEqual(
      results.map((result) => result.errorReason || result.allowed),
      [true, false, "INVALID_FIELD", "MODEL_INVALID", "GRAPH_TOO_DEEP", true],
    );
    assert.ok(results.every((result) => result.errorReason === "" || !result.allowed));
    assert.match(consistencyToken, /^r\d+$/);
  });

  test("takes 100 checks and no more", async () => {
    const checks = Array.from({ length: 101 }, (_, i) => ({
      subject: "user:batch",
      permission: "edit",
      object: `note:b${i}`,
    }));
    assert.equal((await authz.admin.batchCheck({ checks: checks.slice(1) })).results.length, 100);
    assert.deepEqual((await refused("INVALID_FIELD", authz.admin.batchCheck({ checks }))).fields, ["checks"]);
    assert.deepEqual((await authz.admin.batchCheck({ checks: [] })).results, []);
  });

  test("is for people about themselves alone", async () => {
    const own = authz.as("user:batch");
    const check = { subject: "user:me", permission: "edit", object: "note:batch" };
    const { results } = await own.batchCheck({ checks: [check, { ...check, subject: "user:batch" }] });
    assert.deepEqual(
      results.map((result) => result.allowed),
      [true, true],
    );
    await refused("PERMISSION_DENIED", own.batchCheck({ checks: [check, { ...check, subject: "user:other" }] }));
  });
});

test("a refusal is told to the audit log, with the permission it took", async () => {
  const stranger = `user:${newId()}`;
  await refused("PERMISSION_DENIED", authz.as(stranger).listSubjects({}));
  await eventually(() => {
    const record = authz.records.find(({ origin }) => origin.actor === stranger);
    assert.equal(record?.method, "switchboard.authz.v1.AuthzService/ListSubjects");
    assert.equal(record?.reason, "PERMISSION_DENIED");
  });
});
