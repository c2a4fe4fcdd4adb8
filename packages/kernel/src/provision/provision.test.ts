import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { databaseUrl, type TemporaryPostgres, temporaryPostgres } from "@switchboard/testkit/postgres-server";
import postgres, { type Sql } from "postgres";

/** Roles belong to the whole server, so it is one of its own. */
let server: TemporaryPostgres;
before(async () => {
  server = await temporaryPostgres();
});
after(() => server[Symbol.asyncDispose]());

const alpha = {
  name: "alpha",
  packages: ["acme.alpha.v1"],
  password: "pass'word \\ of % alpha",
  ownerPassword: "owner",
};
const beta = { name: "beta", packages: ["acme.beta.v1", "acme.beta.v2"], password: "beta", ownerPassword: "owner" };

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function run(manifest: unknown, adminUrl: string | undefined): Promise<Outcome> {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
    env: { ...process.env, SWITCHBOARD_DATABASE_ADMIN_URL: adminUrl },
  });
  assert.ok(child.stdin && child.stdout && child.stderr);
  child.stdin.on("error", () => {}).end(typeof manifest === "string" ? manifest : JSON.stringify(manifest));
  const [[code], out, err] = await Promise.all([once(child, "exit"), text(child.stdout), text(child.stderr)]);
  return { code, out, err };
}

async function freshDatabase(name: string): Promise<string> {
  await as(server.adminUrl, (sql) => sql`create database ${sql(name)}`);
  return databaseUrl(server.adminUrl, name);
}

async function as<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

function login(adminUrl: string, role: string, password: string): string {
  const url = new URL(adminUrl);
  url.username = role;
  url.password = encodeURIComponent(password);
  return url.href;
}

test("a service's roles work in their own schema and reach no other", async () => {
  const adminUrl = await freshDatabase("isolation");
  const { code, out, err } = await run({ services: [alpha, beta] }, adminUrl);
  assert.deepEqual([code, err], [0, ""]);
  assert.deepEqual(JSON.parse(out).services, ["alpha", "beta"]);

  await as(login(adminUrl, "alpha_owner", alpha.ownerPassword), async (owner) => {
    await owner`create table thing (id int)`;
    await owner`grant select, insert on thing to alpha`;
  });
  await as(login(adminUrl, "alpha", alpha.password), async (runtime) => {
    await runtime`insert into thing values (1)`;
    assert.deepEqual([...(await runtime`select * from alpha.thing`)], [{ id: 1 }]);
    await assert.rejects(runtime`update thing set id = 2`, { code: "42501" });
    await assert.rejects(runtime`create table own (id int)`, { code: "42501" });
    await assert.rejects(runtime`create temp table own (id int)`, { code: "42501" });
    await assert.rejects(runtime`set role alpha_owner`, { code: "42501" });
    await assert.rejects(runtime`set role switchboard_driver`, { code: "42501" });
  });
  for (const [role, password] of [
    ["beta", beta.password],
    ["beta_owner", beta.ownerPassword],
  ] as const) {
    await as(login(adminUrl, role, password), async (foreign) => {
      await assert.rejects(foreign`select * from alpha.thing`, { code: "42501" });
      await assert.rejects(foreign`create table alpha.foreign (id int)`, { code: "42501" });
      await assert.rejects(foreign`create table public.own (id int)`, { code: "42501" });
      await assert.rejects(foreign`create table registry.own (id int)`, { code: "42501" });
      await assert.rejects(foreign`create schema own`, { code: "42501" });
    });
  }
  await as(login(adminUrl, "beta_owner", beta.ownerPassword), (owner) =>
    assert.rejects(owner`select * from registry.list()`, { code: "42501" }),
  );
});

test("nobody but the named roles may connect", async () => {
  const adminUrl = await freshDatabase("doors");
  assert.equal((await run({ services: [alpha] }, adminUrl)).code, 0);
  await as(adminUrl, (sql) => sql`create role stranger login password 'stranger'`);
  await as(login(adminUrl, "alpha", alpha.password), (sql) => sql`select 1`);
  await assert.rejects(
    as(login(adminUrl, "stranger", "stranger"), (sql) => sql`select 1`),
    { code: "42501" },
  );
  await assert.rejects(
    as(login(adminUrl, "alpha", "wrong"), (sql) => sql`select 1`),
    { code: "28P01" },
  );
});

test("repeating it changes nothing but what the manifest changes", async () => {
  const adminUrl = await freshDatabase("again");
  assert.equal((await run({ services: [alpha, beta] }, adminUrl)).code, 0);
  await as(login(adminUrl, "alpha_owner", alpha.ownerPassword), (owner) => owner`create table kept (id int)`);
  const moved = [
    { ...alpha, packages: [...alpha.packages, "acme.beta.v2"], password: "changed" },
    { ...beta, packages: ["acme.beta.v1"] },
  ];
  assert.equal((await run({ services: moved }, adminUrl)).code, 0);
  await as(login(adminUrl, "alpha", "changed"), (sql) => sql`select 1`);
  await as(adminUrl, async (sql) => {
    assert.equal((await sql`select * from alpha.kept`).length, 0);
    const owners = await sql`select package, service from registry.package_owner order by package`;
    assert.deepEqual(
      owners.map((row) => `${row.package} ${row.service}`),
      ["acme.alpha.v1 alpha", "acme.beta.v1 beta", "acme.beta.v2 alpha"],
    );
  });
});

test("several at once, on one database and on two, all succeed", async () => {
  const [one, two] = [await freshDatabase("race_one"), await freshDatabase("race_two")];
  const services = ["c", "d", "e", "f"].map((name) => ({ ...beta, name, packages: [`acme.${name}.v1`] }));
  const outcomes = await Promise.all([one, one, two, two].map((adminUrl) => run({ services }, adminUrl)));
  assert.deepEqual(
    outcomes.map(({ code, err }) => [code, err]),
    Array(4).fill([0, ""]),
  );
  for (const adminUrl of [one, two]) {
    await as(login(adminUrl, "f", "beta"), (sql) => sql`select * from registry.list()`);
  }
});

test("a package of a service that the manifest does not name is a conflict, and nothing moves", async () => {
  const adminUrl = await freshDatabase("conflict");
  assert.equal((await run({ services: [alpha] }, adminUrl)).code, 0);
  const { code, err } = await run({ services: [{ ...beta, packages: ["acme.alpha.v1"] }] }, adminUrl);
  assert.equal(code, 1);
  assert.match(err, /acme\.alpha\.v1 belongs to alpha/);
  const rows = await as(adminUrl, (sql) => sql`select service from registry.package_owner`);
  assert.deepEqual([...rows], [{ service: "alpha" }]);
});

test("a manifest's faults are told all at once, without a password", async () => {
  const secret = "hunter2\n";
  const services = [
    { ...alpha, password: secret },
    { ...alpha, ownerPassword: "" },
    { ...beta, name: "Beta; drop table", packages: ["not a package"] },
    { ...beta, name: "registry", extra: 1 },
    { name: "pg_beta" },
    { ...beta, name: "alpha_owner" },
  ];
  const { code, out, err } = await run({ services }, server.adminUrl);
  assert.deepEqual([code, out], [1, ""]);
  for (const fault of [
    /services\.0\.password: must be 1 to 256 printable ASCII/,
    /services\.1\.ownerPassword: must be/,
    /services\.2\.name: must be 1 to 31/,
    /services\.2\.packages\.0: must be a protobuf package/,
    /services\.3\.name: is reserved/,
    /services\.4\.password/,
    /services\.5\.name: is reserved/,
  ]) {
    assert.match(err, fault);
  }
  assert.doesNotMatch(err, /hunter2/);
  const twice = await run({ services: [alpha, alpha, { ...beta, packages: alpha.packages }] }, server.adminUrl);
  assert.match(twice.err, /services\.1\.name: the service alpha is at services\.0\.name already/);
  assert.match(twice.err, /services\.2\.packages\.0: the package acme\.alpha\.v1 is at/);
  const broken = await run('{"services":[{"password":"hunter2"', server.adminUrl);
  assert.deepEqual([broken.code, broken.err], [1, "provision: the manifest on standard input is not JSON\n"]);
});

test("a role that administers the server is not taken over", async () => {
  const adminUrl = await freshDatabase("takeover");
  await as(adminUrl, (sql) => sql`create role boss superuser login password 'boss'`);
  const { code, err } = await run({ services: [{ ...alpha, name: "boss" }] }, adminUrl);
  assert.equal(code, 1);
  assert.match(err, /the role boss administers this server/);
});

test("a missing setting and a database that is away are told", async () => {
  const unset = await run({ services: [alpha] }, undefined);
  assert.equal(unset.code, 1);
  assert.match(unset.err, /SWITCHBOARD_DATABASE_ADMIN_URL/);
  const away = await run({ services: [alpha] }, "postgres://postgres:secret@127.0.0.1:1/postgres");
  assert.equal(away.code, 1);
  assert.match(away.err, /ECONNREFUSED/);
  assert.doesNotMatch(away.err, /secret/);
});

test("passwords are not in the server's statements", async () => {
  const adminUrl = await freshDatabase("log");
  await as(adminUrl, (sql) => sql`alter database log set log_statement = 'all'`);
  assert.equal((await run({ services: [{ ...alpha, password: "find-me-in-the-log" }] }, adminUrl)).code, 0);
  const log = await readFile(join(server.folder, "postgres", "postgres.log"), "utf8");
  assert.match(log, /alter role/);
  assert.doesNotMatch(log, /find-me-in-the-log/);
});
