import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@switchboard/contract/ids";
import type { User } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { refused } from "@switchboard/testkit/refused";
import { type IdentityUnderTest, startIdentity } from "./identity-under-test.ts";

let identity: IdentityUnderTest;
before(async () => {
  identity = await startIdentity();
});
after(() => identity[Symbol.asyncDispose]());

interface Query {
  readonly filter?: string;
  readonly pageSize?: number;
  readonly showDeleted?: boolean;
}

/** All pages of a list; `between` runs after each. */
async function listAll(query: Query, between?: (page: readonly User[]) => Promise<unknown>): Promise<User[]> {
  const users: User[] = [];
  let pageToken = "";
  do {
    const page = await identity.admin.listUsers({ ...query, pageToken });
    users.push(...page.users);
    await between?.(page.users);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return users;
}

async function create(email: string, displayName = "Somebody"): Promise<User> {
  const { user } = await identity.admin.createUser({ email, displayName });
  return user ?? assert.fail();
}

describe("ListUsers", () => {
  test("pages through 1,200 people without loss or doubles while others come and go", async () => {
    await identity.insertPeople(1200);
    const there = (await listAll({ pageSize: 1000 })).map((user) => user.userId);
    assert.equal(there.length, 1200);

    let made = 0;
    const seen = await listAll({ pageSize: 37 }, async (page) => {
      made++;
      await create(`meanwhile-${made}@example.com`);
      // Whoever was on the page already may go.
      await identity.admin.deleteUser({ userId: page[0]?.userId ?? "" });
    });
    const ids = seen.map((user) => user.userId);
    assert.equal(new Set(ids).size, ids.length, "somebody came twice");
    assert.deepEqual(
      there.filter((id) => !ids.includes(id)),
      [],
      "somebody was lost",
    );
    const times = seen.map((user) => timestampDate(user.createTime ?? assert.fail()).getTime());
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  });

  test("has 50 on a page unless asked, and never more than 1,000", async () => {
    assert.equal((await identity.admin.listUsers({})).users.length, 50);
    assert.equal((await identity.admin.listUsers({ pageSize: 5000 })).users.length, 1000);
    assert.deepEqual((await refused("INVALID_FIELD", identity.admin.listUsers({ pageSize: -1 }))).fields, [
      "page_size",
    ]);
  });

  test("leaves deleted people out unless asked", async () => {
    const user = await create("gone@example.com");
    await identity.admin.deleteUser({ userId: user.userId });
    const filter = 'email = "gone@example.com"';
    assert.deepEqual(await listAll({ filter }), []);
    const [found] = await listAll({ filter, showDeleted: true });
    assert.ok(found?.deleteTime);
  });

  test("is not for everybody", async () => {
    await refused("PERMISSION_DENIED", identity.as(`user:${newId()}`).listUsers({}));
  });
});

describe("a filter of ListUsers", () => {
  before(async () => {
    await create("Filter.One@a.example", "100% _Ada_");
    await create("filter.two@a.example", "Ada*");
    const third = await create("filter.three@b.example", "'; DROP TABLE identity.users; --");
    await identity.admin.disableUser({ userId: third.userId });
  });

  const cases: readonly [filter: string, found: readonly string[]][] = [
    ['email = "FILTER.ONE@A.EXAMPLE"', ["Filter.One@a.example"]],
    ['email = "filter.*" AND email = "*@A.example"', ["Filter.One@a.example", "filter.two@a.example"]],
    ["email:filter AND state = DISABLED", ["filter.three@b.example"]],
    ["email:filter AND state != DISABLED", ["Filter.One@a.example", "filter.two@a.example"]],
    ['email:filter AND email != "filter.t*"', ["Filter.One@a.example"]],
    ['display_name = "100% _*"', ["Filter.One@a.example"]],
    ['display_name = "%Ada%"', []],
    ['display_name = "Ada\\*"', ["filter.two@a.example"]],
    ['display_name = "ada\\*"', []],
    [`display_name = "'; DROP TABLE identity.users; --"`, ["filter.three@b.example"]],
    ['email:filter AND create_time < "2020-01-01T00:00:00Z"', []],
    [
      'email:filter AND create_time >= "2020-01-01T00:00:00+02:00"',
      ["Filter.One@a.example", "filter.two@a.example", "filter.three@b.example"],
    ],
    [
      'email:filter AND create_time > "0001-01-01T23:59:00+23:59" AND create_time < "9999-12-30T23:59:59-23:59"',
      ["Filter.One@a.example", "filter.two@a.example", "filter.three@b.example"],
    ],
    ['email:filter AND email < "filter.p"', ["Filter.One@a.example"]],
  ];
  for (const [filter, found] of cases) {
    test(filter, async () => {
      const users = await listAll({ filter, pageSize: 1 });
      assert.deepEqual(
        users.map((user) => user.email),
        found,
      );
    });
  }

  test("that cannot be understood is refused, with the place", async () => {
    for (const filter of [
      "email",
      "password = x",
      'state = "ASLEEP"',
      "email = a OR email = b",
      'email = "',
      'create_time > "0001-01-01T00:00:00+23:59"',
      'create_time < "9999-12-31T23:59:59-23:59"',
    ]) {
      const error = await refused("INVALID_FILTER", identity.admin.listUsers({ filter }));
      assert.match(error.rawMessage, /character \d+/);
    }
  });
});

describe("a page token of ListUsers", () => {
  async function token(query: Query): Promise<string> {
    return (await identity.admin.listUsers({ pageSize: 1, ...query })).nextPageToken;
  }

  test("is refused by another filter, by another method's token, and damaged", async () => {
    const pageToken = await token({ filter: "email:example" });
    await refused("INVALID_PAGE_TOKEN", identity.admin.listUsers({ pageToken }));
    await refused("INVALID_PAGE_TOKEN", identity.admin.listUsers({ pageToken, filter: "email:a" }));
    await refused(
      "INVALID_PAGE_TOKEN",
      identity.admin.listUsers({ pageToken, filter: "email:example", showDeleted: true }),
    );
    await refused("INVALID_PAGE_TOKEN", identity.admin.listUsers({ pageToken: "nonsense", filter: "email:example" }));
    const { users } = await identity.admin.listUsers({ pageToken, filter: "email:example", pageSize: 3 });
    assert.equal(users.length, 3, "another page size is allowed");
  });

  test("is refused after a day", async () => {
    const pageToken = await token({});
    identity.clock.advance(24 * 60 * 60_000 + 1);
    await refused("INVALID_PAGE_TOKEN", identity.admin.listUsers({ pageToken }));
  });
});
