import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { AppError } from "@switchboard/contract/app-error";
import { UserCreatedSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import postgres from "postgres";
import { migrate } from "../database/migrate.ts";
import { openDatabase } from "../database/open-database.ts";
import { on } from "../service.ts";
import { consumeOnce } from "./inbox.ts";
import { startOutboxRelay } from "./outbox.ts";
import { openPostgresBus } from "./postgres.ts";

const log = pino({ level: "silent" });
const folder = new URL("../database/fixtures/migrations", import.meta.url).pathname;
const FACTS = 1_500;

it("connections break at random, in any state: what was committed is handled once, and the process lives", async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await testDatabase());
  const admin = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
  stack.defer(() => admin.end());
  const open = async (name: string) => {
    await migrate({ url: server.url(`${name}_owner`), schema: name, folder, log });
    const database = stack.use(openDatabase({ url: server.url(name), schema: name, log }));
    return { database, bus: stack.use(openPostgresBus({ url: server.url(name), service: name, log })) };
  };
  const publisher = await open("identity");
  stack.use(startOutboxRelay({ ...publisher, schema: "identity", log }));
  // The primary key refuses what is handled a second time; it would end as a dead letter.
  const consumers = [
    on("identity", UserCreatedSchema, async ({ userId }, tx) => {
      await tx.queries.execute(sql`insert into thing (id) values (${Number(userId)})`);
    }),
  ];
  const instances = [await open("notes"), await open("notes")];
  for (const instance of instances) {
    const subscription = await consumeOnce({ ...instance, group: "notes", consumers, log });
    stack.defer(() => subscription.end());
  }

  const committed: number[] = [];
  let next = 0;
  const publish = async () => {
    while (next < FACTS) {
      next += 1;
      const id = next;
      try {
        await publisher.database.transaction({ actor: "a", trace: undefined }, (tx) =>
          tx.publish(UserCreatedSchema, { userId: String(id) }, `key ${id % 50}`),
        );
        committed.push(id);
      } catch (error) {
        assert.ok(error instanceof AppError && error.reason === "DATABASE_UNAVAILABLE");
      }
    }
  };
  const publishing = Promise.all([publish(), publish(), publish(), publish()]);
  let broken = 0;
  while (broken < 60) {
    const ended = await admin`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and usename in ('identity', 'notes') order by random() limit 2`;
    broken += ended.length;
    await delay(Math.random() * 40);
  }
  await publishing;

  await eventually(
    async () => {
      const rows = await admin<{ id: number }[]>`select id from notes.thing`;
      const handled = new Set(rows.map(({ id }) => id));
      assert.deepEqual(
        committed.filter((id) => !handled.has(id)),
        [],
      );
    },
    { withinMs: 30_000, everyMs: 100 },
  );
  assert.deepEqual(await instances[0]?.bus.listDeadLetters("notes", 10), []);
});
