import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { RelationshipsChangedSchema } from "@switchboard/gen/switchboard/authz/v1/authz_events_pb";
import { refused } from "@switchboard/testkit/refused";
import { ADMIN, type AuthzUnderTest, startAuthz } from "./authz-under-test.ts";
import { NOTES } from "./notes-model.ts";

let authz: AuthzUnderTest;
before(async () => {
  authz = await startAuthz(NOTES);
});
after(() => authz[Symbol.asyncDispose]());

const PLATFORM = "platform:switchboard";

async function grants(query: { subject?: string; role?: string; object?: string } = {}): Promise<string[]> {
  const { roleGrants } = await authz.admin.listRoleGrants({ pageSize: 1000, ...query });
  return roleGrants.map(({ subject, role, object }) => `${subject} ${role} ${object}`);
}

describe("a role", () => {
  test("gives its permissions from the grant on until it is revoked", async () => {
    const role = { subject: "user:eve", role: "auditor", object: PLATFORM };
    const eve = authz.as("user:eve");
    await refused("PERMISSION_DENIED", eve.listRoleGrants({}));
    const granted = await authz.admin.grantRole(role);
    assert.match(granted.consistencyToken, /^r\d+$/);
    assert.ok((await eve.listRoleGrants({})).roleGrants.length > 0);
    await refused("PERMISSION_DENIED", eve.grantRole({ ...role, role: "admin" }));
    await authz.admin.revokeRole(role);
    await refused("PERMISSION_DENIED", eve.listRoleGrants({}));
  });

  test("can be given twice and taken twice; the second time changes nothing", async () => {
    const role = { subject: "user:twice", role: "auditor", object: PLATFORM };
    const before = (await authz.facts(RelationshipsChangedSchema)).length;
    const first = await authz.admin.grantRole(role);
    assert.deepEqual(await authz.admin.grantRole(role), first);
    const last = await authz.admin.revokeRole(role);
    assert.deepEqual(await authz.admin.revokeRole(role), last);
    assert.equal((await authz.facts(RelationshipsChangedSchema)).length, before + 2);
  });

  test("can be a group's, and be on an object that another service declares", async () => {
    await authz.admin.grantRole({ subject: "group:crew#member", role: "editor", object: "note:n" });
    await authz.admin.writeRelationships({
      writes: [{ object: "group:crew", relation: "member", subject: "user:mate" }],
    });
    const question = { subject: "user:mate", permission: "edit", object: "note:n" };
    assert.equal((await authz.admin.check(question)).allowed, true);
  });

  for (const [field, request] of [
    ["role", { subject: "user:a", role: "owner", object: "note:n" }],
    ["role", { subject: "user:a", role: "view", object: "note:n" }],
    ["role", { subject: "user:a", role: "admin", object: "note:n" }],
    ["role", { subject: "user:a", role: "amdin", object: PLATFORM }],
    ["role", { subject: "user:a", role: "", object: PLATFORM }],
    ["role", { subject: "user:a", role: "admin", object: "planet:earth" }],
    ["object", { subject: "user:a", role: "admin", object: "switchboard" }],
    ["subject", { subject: "ada", role: "admin", object: PLATFORM }],
    ["subject", { subject: "note:n", role: "admin", object: PLATFORM }],
    ["subject", { subject: "group:g", role: "admin", object: PLATFORM }],
  ] as const) {
    test(`is refused: ${JSON.stringify(request)}`, async () => {
      assert.deepEqual((await refused("INVALID_FIELD", authz.admin.grantRole(request))).fields, [field]);
      assert.deepEqual((await refused("INVALID_FIELD", authz.admin.revokeRole(request))).fields, [field]);
    });
  }

  test("that there is not is refused with those that there are", async () => {
    const wrong = authz.admin.grantRole({ subject: "user:a", role: "amdin", object: PLATFORM });
    assert.match((await refused("INVALID_FIELD", wrong)).rawMessage, /which has admin, auditor/);
  });

  test("is given and taken by administrators and by Auth alone", async () => {
    const role = { subject: "user:mallory", role: "admin", object: PLATFORM };
    for (const caller of ["user:mallory", "service:notes", "service:gateway"]) {
      await refused("PERMISSION_DENIED", authz.as(caller).grantRole(role));
      await refused("PERMISSION_DENIED", authz.as(caller).revokeRole({ ...role, subject: ADMIN }));
      await refused("PERMISSION_DENIED", authz.as(caller).listRoleGrants({}));
    }
    assert.deepEqual(await grants({ role: "admin" }), [`${ADMIN} admin ${PLATFORM}`]);
    await authz.as("service:auth").grantRole({ ...role, subject: "user:first" });
    await authz.as("service:auth").revokeRole({ ...role, subject: "user:first" });
  });

  test("repeated under one request_id is given once; with another body it is refused", async () => {
    const request = { subject: "user:r", role: "auditor", object: PLATFORM, requestId: newId() };
    const first = await authz.admin.grantRole(request);
    const { requestId: _, ...role } = request;
    await authz.admin.revokeRole(role);
    assert.deepEqual(await authz.admin.grantRole(request), first);
    assert.deepEqual(await grants({ subject: "user:r" }), []);
    await refused("REQUEST_ID_REUSED", authz.admin.grantRole({ ...request, subject: "user:other" }));
    assert.deepEqual(await grants({ subject: "user:other" }), []);
  });

  test("given to many at once, and taken by many at once, is what was asked for", async () => {
    const people = Array.from({ length: 20 }, (_, i) => `user:many${i}`);
    const role = (subject: string) => ({ subject, role: "auditor", object: PLATFORM });
    await Promise.all([...people, ...people].map((subject) => authz.admin.grantRole(role(subject))));
    assert.equal((await grants({ role: "auditor" })).filter((line) => line.startsWith("user:many")).length, 20);
    await Promise.all(people.map((subject) => authz.admin.revokeRole(role(subject))));
    assert.equal((await grants({ role: "auditor" })).filter((line) => line.startsWith("user:many")).length, 0);
  });
});

describe("the last administrator", () => {
  const role = { subject: ADMIN, role: "admin", object: PLATFORM };

  test("stays, also where a group without anybody in it has the role", async () => {
    await refused("WRONG_STATE", authz.admin.revokeRole(role));
    const empty = { ...role, subject: "group:empty#member" };
    await authz.admin.grantRole(empty);
    await refused("WRONG_STATE", authz.admin.revokeRole(role));
    await authz.admin.revokeRole(empty);
    assert.deepEqual(await grants({ role: "admin" }), [`${ADMIN} admin ${PLATFORM}`]);
  });

  test("is left over where two revoke each other at once", async () => {
    for (let round = 0; round < 5; round++) {
      const other = { ...role, subject: "user:rival" };
      await authz.as("service:auth").grantRole(role);
      await authz.as("service:auth").grantRole(other);
      const outcomes = await Promise.allSettled([
        authz.admin.revokeRole(other),
        authz.as("user:rival").revokeRole(role),
      ]);
      assert.ok(outcomes.some(({ status }) => status === "fulfilled"));
      assert.ok((await isAdministrator(ADMIN)) !== (await isAdministrator("user:rival")), `round ${round}`);
    }
    await authz.as("service:auth").grantRole(role);
    await authz.admin.revokeRole({ ...role, subject: "user:rival" });
  });

  async function isAdministrator(subject: string): Promise<boolean> {
    return (await authz.as("service:auth").check({ subject, permission: "admin", object: PLATFORM })).allowed;
  }
});

describe("ListRoleGrants", () => {
  test("has roles and no other relationships, by what is given, page by page", async () => {
    await authz.admin.writeRelationships({
      writes: [
        { object: "note:l", relation: "owner", subject: "user:l" },
        { object: "note:l", relation: "editor", subject: "user:l" },
        { object: "note:m", relation: "editor", subject: "user:l" },
      ],
    });
    await authz.admin.grantRole({ subject: "user:l", role: "auditor", object: PLATFORM });
    const all = ["user:l editor note:l", "user:l editor note:m", `user:l auditor ${PLATFORM}`];
    assert.deepEqual(await grants({ subject: "user:l" }), all);
    assert.deepEqual(await grants({ subject: "user:l", role: "editor" }), all.slice(0, 2));
    assert.deepEqual(await grants({ subject: "user:l", object: "note:m" }), ["user:l editor note:m"]);
    assert.deepEqual(await grants({ subject: "user:l", role: "owner" }), []);

    const paged: string[] = [];
    for (let pageToken = "", first = true; first || pageToken !== ""; first = false) {
      const page = await authz.admin.listRoleGrants({ subject: "user:l", pageSize: 1, pageToken });
      paged.push(...page.roleGrants.map((grant) => `${grant.subject} ${grant.role} ${grant.object}`));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(paged, all);
  });

  test("refuses what cannot be, and a page token of another query", async () => {
    for (const [field, value] of [
      ["subject", "ada"],
      ["role", "Admin"],
      ["role", "ad\0min"],
      ["object", "platform:"],
    ] as const) {
      assert.deepEqual((await refused("INVALID_FIELD", authz.admin.listRoleGrants({ [field]: value }))).fields, [
        field,
      ]);
    }
    const { nextPageToken: pageToken } = await authz.admin.listRoleGrants({ pageSize: 1 });
    assert.notEqual(pageToken, "");
    await refused("INVALID_PAGE_TOKEN", authz.admin.listRoleGrants({ pageToken, role: "admin" }));
    await refused("INVALID_PAGE_TOKEN", authz.admin.readRelationships({ pageToken }));
  });
});
