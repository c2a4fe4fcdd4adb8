import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import postgres from "postgres";
import { openPostgresEngine, openStoppablePostgresEngine, type PostgresEngine } from "../postgres-engine.fake.ts";
import { openPostgresRegistry } from "./postgres.ts";
import { type RegistryEngine, registryLaw } from "./registry.law.ts";

function registryOn<Engine extends PostgresEngine>(engine: Engine): Engine & RegistryEngine {
  const module = new URL("./postgres.ts", import.meta.url).href;
  return Object.assign(engine, {
    driver: (service: string, timing: { leaseMs: number; renewMs: number }) => ({
      module,
      open: "openPostgresRegistry",
      options: { url: engine.url(service), ...timing },
    }),
  });
}

registryLaw("postgres", {
  open: async () => registryOn(await openPostgresEngine()),
  openStoppable: async () => registryOn(await openStoppablePostgresEngine()),
});

const log = pino({ level: "silent" });
const registration = {
  service: "identity",
  instanceId: "a",
  address: "127.0.0.1:1",
  version: "0.1.0",
  contractHash: "c0de",
  rpcServices: [],
  metadata: {},
};

test("a machine that slept is an outage: nobody lapses because nobody could renew", async () => {
  await using engine = await openPostgresEngine();
  await using identity = openPostgresRegistry({ url: engine.url("identity"), log });
  await using gateway = openPostgresRegistry({ url: engine.url("gateway"), log });
  const admin = postgres(engine.adminUrl, { max: 1 });
  await identity.register(registration);
  using watch = gateway.watchAll();
  await eventually(() => assert.equal(watch.current().length, 1));
  watch.subscribe(() => assert.fail("it lapsed"));
  // As if the clock had gone on for an hour without anybody.
  await admin.begin(async (tx) => {
    await tx`update registry.pulse set beat_time = beat_time - interval '1 hour', return_time = return_time - interval '1 hour'`;
    await tx`update registry.instance set renew_time = renew_time - interval '1 hour'`;
  });
  await admin.end();
  await eventually(() => assert.ok(watch.ageMs() < 500), { withinMs: 4_000 });
  await delay(500);
  assert.equal(watch.current().length, 1);
});

test("a process that starts where a dead one of its service was takes its place", async () => {
  await using engine = await openPostgresEngine();
  await using identity = openPostgresRegistry({ url: engine.url("identity"), log });
  await identity.register({ ...registration, instanceId: "dead" });
  await identity.register({ ...registration, instanceId: "new" });
  using watch = identity.watchAll();
  await watch.ready;
  assert.deepEqual(
    watch.current().map(({ instanceId }) => instanceId),
    ["new"],
  );
});

test("the tables cannot be reached but through the functions", async () => {
  await using engine = await openPostgresEngine();
  const sql = postgres(engine.url("identity"), { max: 1 });
  for (const table of ["instance", "package_owner", "pulse"]) {
    await assert.rejects(sql`select * from registry.${sql(table)}`, { code: "42501" });
    await assert.rejects(sql`delete from registry.${sql(table)}`, { code: "42501" });
  }
  await assert.rejects(sql`select registry.beat()`, { code: "42501" });
  await sql.end();
});
