import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import postgres from "postgres";
import { openPostgresEngine, openStoppablePostgresEngine, type PostgresEngine } from "../postgres-engine.fake.ts";
import { openPostgresState } from "./postgres.ts";
import { type StateEngine, stateLaw } from "./state.law.ts";

function stateOn<Engine extends PostgresEngine>(engine: Engine): Engine & StateEngine {
  const module = new URL("./postgres.ts", import.meta.url).href;
  return Object.assign(engine, {
    driver: (service: string) => ({ module, open: "openPostgresState", options: { url: engine.url(service) } }),
  });
}

stateLaw("postgres", {
  open: async () => stateOn(await openPostgresEngine()),
  openStoppable: async () => stateOn(await openStoppablePostgresEngine()),
});

const log = pino({ level: "silent" });

test("a crash of PostgreSQL forgets locks and values, and never a fence", async () => {
  await using engine = await openStoppablePostgresEngine();
  await using state = openPostgresState({ url: engine.url("identity"), log });
  await state.set("k", Buffer.from("v"), 60_000);
  const before = await state.lock("k", 3_000);
  assert.ok(before);
  const sql = postgres(engine.adminUrl, { max: 1 });
  const [row] = await sql<[{ pid: number }]>`select pg_backend_pid() as pid`;
  process.kill(row.pid, "SIGKILL");
  await sql.end({ timeout: 0 });

  await eventually(() => assert.equal(before.signal.aborted, true), { withinMs: 4_000 });
  await eventually(() => assert.equal(state.problem(), undefined));
  assert.equal(await state.get("k"), undefined);
  await using after = await state.lock("k", 3_000);
  assert.ok(after && after.fence > before.fence);
  await before[Symbol.asyncDispose]();
});

test("what expired is purged, and nothing else", async () => {
  await using engine = await openPostgresEngine();
  await using state = openPostgresState({ url: engine.url("identity"), log });
  const admin = postgres(engine.adminUrl, { max: 1 });
  const limit = { requests: 1, windowMs: 1, burst: 1 };
  for (const key of ["a", "b"]) {
    await state.set(key, Buffer.from("v"), 1);
    await state.take(key, limit);
  }
  await state.set("kept", Buffer.from("v"), 60_000);
  await state.take("kept", { ...limit, windowMs: 60_000 });
  await using lock = await state.lock("kept", 60_000);
  assert.ok(lock);
  const purged = await eventually(async () => {
    const [row] = await admin<[{ purged: string }]>`select state.purge() as purged`;
    assert.notEqual(row.purged, "0");
    return Number(row.purged);
  });
  assert.ok(purged <= 4);
  await eventually(async () => {
    await admin`select state.purge()`;
    const rows = await admin`
      select key from state.cache union all select key from state.rate_limit union all select key from state.held_lock`;
    assert.deepEqual(
      // The key of a limit has the limit behind it.
      rows.map((row) => String(row.key).slice(0, 4)),
      ["kept", "kept", "kept"],
    );
  });
  await admin.end();
});

test("the tables cannot be reached but through the functions", async () => {
  await using engine = await openPostgresEngine();
  const sql = postgres(engine.url("identity"), { max: 1 });
  for (const table of ["cache", "rate_limit", "held_lock", "fence"]) {
    await assert.rejects(sql`select * from state.${sql(table)}`, { code: "42501" });
    await assert.rejects(sql`delete from state.${sql(table)}`, { code: "42501" });
  }
  await sql.end();
});
