import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AppError } from "@switchboard/contract/app-error";
import { UserCreatedSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import postgres from "postgres";
import type { Database, Transaction } from "./database.ts";
import { violatedConstraint } from "./failure.ts";
import { migrate } from "./migrate.ts";
import { openDatabase } from "./open-database.ts";

const log = pino({ level: "silent" });
const origin = { actor: "user:u", trace: undefined };
const migrations = new URL("./fixtures/migrations", import.meta.url).pathname;

describe("database", () => {
  let server: TestDatabase;
  let database: Database;
  let admin: postgres.Sql;

  before(async () => {
    server = await testDatabase();
    await migrate({ url: server.url("notes_owner"), schema: "notes", folder: migrations, log });
    database = openDatabase({ url: server.url("notes"), schema: "notes", poolSize: 3, log });
    admin = postgres(server.adminUrl, { max: 2, onnotice: () => {} });
  });
  after(async () => {
    await admin?.end();
    await database?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const insert = (tx: Transaction, id: number) => tx.queries.execute(sql`insert into thing (id) values (${id})`);
  const backend = async (tx: Transaction) => {
    const [row] = await tx.queries.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
    return row?.pid ?? 0;
  };
  const things = async () =>
    (await admin<{ id: number }[]>`select id from notes.thing order by id`).map(({ id }) => id);

  it("commits a change together with the facts it published, in their order", async () => {
    await database.transaction(origin, async (tx) => {
      await tx.publish(UserCreatedSchema, { userId: "b" }, "key b");
      await tx.publish(UserCreatedSchema, { userId: "a" }, "key a");
      await insert(tx, 1);
    });
    const rows = await admin`select type, key, actor, data from notes.outbox order by position`;
    assert.deepEqual(
      rows.map(({ type, key, actor }) => [type, key, actor]),
      [
        ["switchboard.identity.v1.UserCreated", "key b", "user:u"],
        ["switchboard.identity.v1.UserCreated", "key a", "user:u"],
      ],
    );
    await admin`delete from notes.outbox`;
  });

  it("a change that fails leaves neither rows nor facts", async () => {
    const failure = new Error("no");
    const attempt = database.transaction(origin, async (tx) => {
      await insert(tx, 2);
      await tx.publish(UserCreatedSchema, { userId: "c" }, "key c");
      throw failure;
    });
    await assert.rejects(attempt, failure);
    assert.equal((await things()).includes(2), false);
    assert.equal((await admin`select 1 from notes.outbox`).length, 0);
  });

  it("a failed statement that the change ignores fails the transaction", async () => {
    const attempt = database.transaction(origin, async (tx) => {
      await insert(tx, 3);
      await insert(tx, 3).catch(() => {});
    });
    await assert.rejects(attempt, /ignored/);
    assert.equal((await things()).includes(3), false);
  });

  it("names the violated constraint, and its error holds no value of the statement", async () => {
    await database.transaction(origin, (tx) => insert(tx, 4));
    const attempt = database.transaction(origin, (tx) =>
      tx.queries.execute(sql`insert into thing (id, note) values (4, ${"hunter2"})`),
    );
    await assert.rejects(attempt, (error: Error) => {
      assert.equal(violatedConstraint(error), "thing_pkey");
      assert.doesNotMatch(`${error.stack} ${error.message}`, /hunter2/);
      return true;
    });
  });

  it("repeats a change that lost a deadlock", async () => {
    await database.transaction(origin, async (tx) => {
      await insert(tx, 10);
      await insert(tx, 11);
    });
    const touch = (tx: Transaction, id: number) =>
      tx.queries.execute(sql`update thing set note = note || '+' where id = ${id}`);
    let arrived = 0;
    const met = Promise.withResolvers<void>();
    const meet = () => {
      arrived += 1;
      if (arrived === 2) met.resolve();
      return met.promise;
    };
    const change = (first: number, second: number) => async (tx: Transaction) => {
      await touch(tx, first);
      await meet();
      await touch(tx, second);
    };
    await Promise.all([database.transaction(origin, change(10, 11)), database.transaction(origin, change(11, 10))]);
    const notes = await admin`select note from notes.thing where id in (10, 11)`;
    assert.deepEqual(
      notes.map(({ note }) => note),
      ["++", "++"],
    );
    assert.equal(arrived, 3);
  });

  it("a statement that comes after its transaction does not run", async () => {
    let late: Transaction | undefined;
    await database.transaction(origin, async (tx) => {
      late = tx;
    });
    assert.ok(late);
    await assert.rejects(async () => late && (await insert(late, 5)), /is over/);
  });

  it("a transaction whose connection breaks does nothing more, not even on the next connection", async () => {
    const attempt = database.transaction(origin, async (tx) => {
      await insert(tx, 6);
      await admin`select pg_terminate_backend(${await backend(tx)})`;
      await eventually(() => assert.rejects(async () => void (await tx.queries.execute(sql`select 1`))));
      await Promise.all([1, 2, 3].map(() => database.queries.execute(sql`select 1`)));
      await insert(tx, 7);
    });
    await assert.rejects(attempt, (error: AppError) => error.reason === "DATABASE_UNAVAILABLE");
    assert.deepEqual(
      (await things()).filter((id) => id === 6 || id === 7),
      [],
    );
  });

  it("survives that every connection breaks in the middle of statements", async () => {
    const sleeping = Array.from({ length: 3 }, () =>
      database.transaction(origin, async (tx) => void (await tx.queries.execute(sql`select pg_sleep(30)`))),
    );
    const settled = Promise.allSettled(sleeping);
    const asleep = () => admin`select pid from pg_stat_activity where usename = 'notes' and query like '%pg_sleep%'`;
    await eventually(async () => assert.equal((await asleep()).length, 3));
    for (const { pid } of await asleep()) await admin`select pg_terminate_backend(${pid})`;
    for (const result of await settled) {
      assert.ok(result.status === "rejected" && result.reason instanceof AppError);
      assert.equal(result.reason.reason, "DATABASE_UNAVAILABLE");
    }
    await eventually(() => database.queries.execute(sql`select 1`));
    assert.equal(database.problem(), undefined);
  });

  it("more callers than connections wait for their turn", async () => {
    const pids = await Promise.all(Array.from({ length: 30 }, () => database.transaction(origin, backend)));
    assert.ok(new Set(pids).size <= 3);
  });
});
