import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { startPostgres } from "@switchboard/engines/postgres";
import { UserCreatedSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { makeTemplate, TEMPLATE, temporaryPostgres } from "@switchboard/testkit/postgres-server";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import { consumeOnce } from "../bus/inbox.ts";
import { startOutboxRelay } from "../bus/outbox.ts";
import { openPostgresBus } from "../bus/postgres.ts";
import { on } from "../service.ts";
import { startJobs } from "./jobs.ts";
import { migrate } from "./migrate.ts";
import { openDatabase } from "./open-database.ts";

const log = pino({ level: "silent" });
const origin = { actor: "user:u", trace: undefined };

it("PostgreSQL is stopped and started again in the middle of work: everything goes on by itself, no fact is lost", async () => {
  await using running = new AsyncDisposableStack();
  const first = await temporaryPostgres();
  running.defer(() => first[Symbol.asyncDispose]());
  await makeTemplate(first.adminUrl);
  const url = (role: string) => `postgres://${role}:test@127.0.0.1:${first.port}/${TEMPLATE}`;
  const folder = new URL("./fixtures/migrations", import.meta.url).pathname;
  await migrate({ url: url("notes_owner"), schema: "notes", folder, log });
  const database = running.use(openDatabase({ url: url("notes"), schema: "notes", log }));
  const bus = running.use(openPostgresBus({ url: url("notes"), service: "notes", log }));
  running.use(startOutboxRelay({ database, schema: "notes", bus, log }));
  let jobs = 0;
  const count = async () => {
    jobs += 1;
  };
  running.use(
    startJobs({
      jobs: [{ name: "count", everyMs: 20, run: count }],
      database,
      service: "notes",
      log,
    }),
  );
  const handled: string[] = [];
  const take = on("notes", UserCreatedSchema, async ({ userId }, tx) => {
    await tx.queries.execute(sql`insert into thing (id) values (${Number(userId)})`);
    handled.push(userId);
  });
  const consumers = [take];
  const subscription = await consumeOnce({ database, bus, group: "notes", consumers, log });
  running.defer(() => subscription.end());
  let gaps = 0;
  const heard: string[] = [];
  await bus.broadcast({
    topics: ["notes"],
    handle: ({ key }) => void heard.push(key),
    onGap: () => {
      gaps += 1;
    },
  });

  const committed: string[] = [];
  let next = 0;
  let stopped = false;
  const work = (async () => {
    while (!stopped) {
      next += 1;
      const userId = String(next);
      try {
        await database.transaction(origin, (tx) => tx.publish(UserCreatedSchema, { userId }, `key ${next % 7}`));
        committed.push(userId);
      } catch (error) {
        assert.equal((error as { reason?: string }).reason, "DATABASE_UNAVAILABLE");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  })();
  await eventually(() => assert.ok(handled.length > 20));
  await first.stop();
  await eventually(() => assert.match(database.problem() ?? "", /database/));
  await eventually(() => assert.match(bus.problem() ?? "", /bus/));
  await assert.rejects(async () => database.queries.execute(sql`select 1`), { reason: "DATABASE_UNAVAILABLE" });
  const before = { committed: committed.length, jobs };

  const again = await startPostgres({ dataDir: join(first.folder, "postgres"), port: first.port, fsync: false });
  running.defer(() => again.stop());
  const start = performance.now();
  await eventually(() => assert.deepEqual([database.problem(), bus.problem()], [undefined, undefined]));
  assert.ok(performance.now() - start < 3_000);
  await eventually(() => assert.ok(committed.length > before.committed + 20 && jobs > before.jobs));
  stopped = true;
  await work;

  // The primary key makes a fact that is handled twice fail for ever.
  const things = async () =>
    (await database.queries.execute<{ id: number }>(sql`select id from thing`)).map(({ id }) => id);
  await eventually(
    async () => {
      const there = new Set(await things());
      assert.deepEqual(
        committed.filter((userId) => !there.has(Number(userId))),
        [],
      );
      assert.equal(await bus.lag("notes"), 0);
    },
    { withinMs: 15_000 },
  );
  assert.deepEqual(await bus.listDeadLetters("notes", 1), []);
  assert.equal(gaps, 1);
  assert.ok(heard.length > 0);
});
