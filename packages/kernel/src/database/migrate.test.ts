import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import postgres from "postgres";
import { MigrationConflict, migrate } from "./migrate.ts";

const log = pino({ level: "silent" });
const kernel = ["kernel/0001-messages.sql", "kernel/0002-request-hash.sql"];

describe("migrate", () => {
  let server: TestDatabase;
  let admin: postgres.Sql;
  let folder: string;

  beforeEach(async () => {
    server = await testDatabase();
    admin = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
    folder = await mkdtemp(join(tmpdir(), "switchboard-migrate-"));
  });
  afterEach(async () => {
    await admin.end();
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const file = (name: string, text: string) => writeFile(join(folder, name), text);
  const run = () => migrate({ url: server.url("notes_owner"), schema: "notes", folder, log });
  const applied = async () =>
    (await admin`select name from notes.migration order by apply_time, name`).map(({ name }) => name);

  it("applies the kernel's files and then the service's, in order of name, each once", async () => {
    await file("0002-fill.sql", "INSERT INTO thing VALUES (1)");
    await file("0001-thing.sql", "CREATE TABLE thing (id integer); -- ends with a comment");
    await file("notes.txt", "not SQL");
    await run();
    await run();
    assert.deepEqual(await applied(), [...kernel, "0001-thing.sql", "0002-fill.sql"]);
    assert.equal((await admin`select 1 from notes.thing`).length, 1);
    await file("0003-more.sql", "INSERT INTO thing VALUES (2); INSERT INTO thing VALUES (3);");
    await run();
    assert.equal((await admin`select 1 from notes.thing`).length, 3);
  });

  it("gives up when it is told to, also while another process migrates", async () => {
    await admin`select pg_advisory_lock(hashtextextended('switchboard.migrate.notes', 0))`;
    const stop = new AbortController();
    const migrating = migrate({ url: server.url("notes_owner"), schema: "notes", folder, log, signal: stop.signal });
    migrating.catch(() => {});
    await eventually(async () => {
      const waiting = await admin`select 1 from pg_locks where locktype = 'advisory' and not granted`;
      assert.equal(waiting.length, 1);
    });
    stop.abort();
    await assert.rejects(migrating);
  });

  it("many processes at once apply each file once", async () => {
    await file("0001-thing.sql", "CREATE TABLE thing (id integer)");
    await file("0002-fill.sql", "INSERT INTO thing SELECT 1 FROM pg_sleep(0.1)");
    await Promise.all([run(), run(), run(), run()]);
    assert.equal((await admin`select 1 from notes.thing`).length, 1);
  });

  it("leaves nothing of a file that fails, keeps those before it, and names it", async () => {
    await file("0001-thing.sql", "CREATE TABLE thing (id integer)");
    await file("0002-bad.sql", "INSERT INTO thing VALUES (1); CREATE TABLE other (id integer); SELECT 1 / 0;");
    await assert.rejects(run(), /0002-bad\.sql of schema notes failed: division by zero/);
    assert.equal((await admin`select 1 from notes.thing`).length, 0);
    assert.deepEqual(await applied(), [...kernel, "0001-thing.sql"]);
    await file("0002-bad.sql", "INSERT INTO thing VALUES (1)");
    await run();
    assert.equal((await admin`select 1 from notes.thing`).length, 1);
  });

  it("refuses a file that was changed after it had been applied, and applies nothing", async () => {
    await file("0001-thing.sql", "CREATE TABLE thing (id integer)");
    await run();
    await file("0001-thing.sql", "CREATE TABLE thing (id bigint)");
    await file("0002-more.sql", "CREATE TABLE more (id integer)");
    await assert.rejects(run(), (error: Error) => {
      assert.ok(error instanceof MigrationConflict);
      assert.match(error.message, /0001-thing\.sql was changed/);
      return true;
    });
    assert.deepEqual(await applied(), [...kernel, "0001-thing.sql"]);
  });

  it("the runtime role can use the messages' tables and nothing of another service", async () => {
    await run();
    const runtime = postgres(server.url("notes"), { max: 1 });
    const other = postgres(server.url("identity"), { max: 1 });
    try {
      await runtime`select 1 from notes.outbox, notes.inbox, notes.stored_answer`;
      await assert.rejects(runtime`update notes.outbox set key = ''`, { code: "42501" });
      await assert.rejects(runtime`create table notes.mine (id integer)`, { code: "42501" });
      await assert.rejects(other`select 1 from notes.outbox`, { code: "42501" });
    } finally {
      await Promise.all([runtime.end(), other.end()]);
    }
  });
});
