import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import {
  type UserCreated,
  UserCreatedSchema,
  UserDeletedSchema,
} from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import postgres from "postgres";
import type { Database } from "../database/database.ts";
import { migrate } from "../database/migrate.ts";
import { openDatabase } from "../database/open-database.ts";
import { type Consumer, on } from "../service.ts";
import type { Bus } from "./bus.ts";
import { consumeOnce, INBOX_LIFETIME_DAYS, purgeInbox } from "./inbox.ts";
import { startOutboxRelay } from "./outbox.ts";
import { openPostgresBus } from "./postgres.ts";

const log = pino({ level: "silent" });
const migrations = new URL("../database/fixtures/migrations", import.meta.url).pathname;
const traceId = "0af7651916cd43dd8448eb211c80319c";
const origin = { actor: "user:u", trace: { traceId, spanId: "b7ad6b7169203331", sampled: true } };

describe("outbox and inbox", () => {
  let server: TestDatabase;
  let admin: postgres.Sql;
  let publisher: Database;
  let consumer: Database;
  let publisherBus: Bus;
  let consumerBus: Bus;
  let running: AsyncDisposableStack;

  before(async () => {
    server = await testDatabase();
    admin = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
    await migrate({ url: server.url("identity_owner"), schema: "identity", folder: migrations, log });
    await migrate({ url: server.url("notes_owner"), schema: "notes", folder: migrations, log });
    publisher = openDatabase({ url: server.url("identity"), schema: "identity", log });
    consumer = openDatabase({ url: server.url("notes"), schema: "notes", log });
    publisherBus = openPostgresBus({ url: server.url("identity"), service: "identity", log });
    consumerBus = openPostgresBus({ url: server.url("notes"), service: "notes", log });
    running = new AsyncDisposableStack();
  });
  afterEach(async () => {
    await running.disposeAsync();
    running = new AsyncDisposableStack();
  });
  after(async () => {
    await Promise.all([publisherBus, consumerBus, publisher, consumer].map((open) => open?.[Symbol.asyncDispose]()));
    await admin?.end();
    await server?.[Symbol.asyncDispose]();
  });

  const publish = (userId: string) =>
    publisher.transaction(origin, (tx) => tx.publish(UserCreatedSchema, { userId }, userId));
  const relay = (bus: Pick<Bus, "publish"> = publisherBus) =>
    running.use(startOutboxRelay({ database: publisher, schema: "identity", bus, log }));
  const consume = async (group: string, ...consumers: readonly Consumer[]) => {
    const subscription = await consumeOnce({ database: consumer, bus: consumerBus, group, consumers, log });
    running.defer(() => subscription.end());
  };
  const outboxSize = async () => Number((await admin`select count(*) from identity.outbox`)[0]?.count);

  it("a fact reaches its consumer once, with its actor, its trace and its source, soon after the commit", async () => {
    relay();
    const seen: { fact: UserCreated; event: EventEnvelope; actor: string; trace: string | undefined }[] = [];
    const take = on("identity", UserCreatedSchema, async (fact, tx, event) => {
      seen.push({ fact, event, actor: tx.origin.actor, trace: tx.origin.trace?.traceId });
    });
    await consume("first", take);
    await publish("u1");
    await eventually(() => assert.equal(seen.length, 1), { withinMs: 1_000 });
    assert.equal(seen[0]?.fact.userId, "u1");
    assert.equal(seen[0]?.event.source, "identity");
    assert.equal(seen[0]?.event.key, "u1");
    assert.equal(seen[0]?.actor, "user:u");
    assert.equal(seen[0]?.trace, traceId);
    await eventually(async () => assert.equal(await outboxSize(), 0));
  });

  it("the effect of a fact that comes several times happens once; a replay brings it again", async () => {
    const add = on("identity", UserCreatedSchema, async (fact, tx) => {
      await tx.queries.execute(sql`
        insert into thing (id, note) values (1, ${fact.userId}) on conflict (id) do update set note = thing.note || '+'`);
    });
    await consume("once", add);
    const data = new Uint8Array([10, 1, 120]);
    const { typeName: type } = UserCreatedSchema;
    const id = "0190f0a0-0000-7000-8000-000000000001";
    const time = new Date().toISOString();
    const event = { id, source: "identity", type, key: "x", time, actor: "user:u", traceparent: "", data };
    await publisherBus.publish([event]);
    await publisherBus.publish([event, event]);
    await publisherBus.publish([{ ...event, id: "0190f0a0-0000-7000-8000-000000000002" }]);
    const note = async () => (await admin`select note from notes.thing where id = 1`)[0]?.note;
    await eventually(async () => assert.match(await note(), /^.*\+$/));
    await eventually(async () => assert.equal(await consumerBus.lag("once"), 0));
    const before: string = await note();
    await consumerBus.replay({ group: "once", topic: "identity", fromTime: 0, toTime: Date.now() + 60_000 });
    await eventually(async () => assert.ok((await note()).length > before.length));
  });

  it("an effect that fails leaves neither itself nor its note, and is tried again", async () => {
    let attempts = 0;
    const flaky = on("identity", UserCreatedSchema, async (fact, tx) => {
      if (fact.userId !== "flaky") return;
      attempts += 1;
      await tx.queries.execute(sql`insert into thing (id) values (${100 + attempts})`);
      if (attempts < 3) throw new Error("not yet");
    });
    await consume("flaky", flaky);
    relay();
    await publish("flaky");
    await eventually(() => assert.equal(attempts, 3));
    await eventually(async () => assert.equal(await consumerBus.lag("flaky"), 0));
    const rows = await admin`select id from notes.thing where id > 100 order by id`;
    assert.deepEqual(
      rows.map(({ id }) => id),
      [103],
    );
  });

  it("does not believe a fact of that type in another service's topic", async () => {
    const believed: string[] = [];
    await consume(
      "wary",
      on("identity", UserDeletedSchema, async (fact) => void believed.push(fact.userId)),
      on("notes", UserCreatedSchema, async () => {}),
    );
    const forged = { type: UserDeletedSchema.typeName, key: "v", time: "", actor: "user:v", traceparent: "" };
    const data = new Uint8Array([10, 1, 118]);
    await consumerBus.publish([{ id: "0190f0a0-0000-7000-8000-000000000003", source: "notes", data, ...forged }]);
    await eventually(async () => assert.equal(await consumerBus.lag("wary"), 0));
    assert.deepEqual(believed, []);
  });

  it("facts wait while the bus is away, and then come in their order", async () => {
    let away = true;
    const sent: EventEnvelope[] = [];
    relay({
      async publish(events) {
        if (away) throw new Error("away");
        sent.push(...events);
      },
    });
    for (const userId of ["1", "2", "3"]) await publish(userId);
    await eventually(async () => assert.equal(await outboxSize(), 3));
    away = false;
    await eventually(() =>
      assert.deepEqual(
        sent.map(({ key }) => key),
        ["1", "2", "3"],
      ),
    );
    await eventually(async () => assert.equal(await outboxSize(), 0));
  });

  it("of several relays one works at a time, and another takes over when its connection breaks", async () => {
    const workers: string[] = [];
    const busOf = (name: string) => ({ publish: async () => void workers.push(name) });
    relay(busOf("first"));
    await publish("a");
    await eventually(() => assert.deepEqual(workers, ["first"]));
    relay(busOf("second"));
    await publish("b");
    await eventually(() => assert.deepEqual(workers, ["first", "first"]));
    const ended = await admin`
      select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
      where locktype = 'advisory' and usename = 'identity' and objsubid = 1`;
    assert.equal(ended.length, 1);
    await eventually(async () => {
      await publish("c");
      assert.ok(workers.length > 2);
    });
    await eventually(async () => assert.equal(await outboxSize(), 0));
  });

  it("what is committed before the relay stops is sent before it has stopped", async () => {
    const sent: string[] = [];
    const stopping = startOutboxRelay({
      database: publisher,
      schema: "identity",
      bus: { publish: async (events) => void sent.push(...events.map(({ key }) => key)) },
      log,
    });
    await publish("warm");
    await eventually(() => assert.deepEqual(sent, ["warm"]));
    await publish("last");
    await stopping[Symbol.asyncDispose]();
    assert.deepEqual(sent, ["warm", "last"]);
  });

  it("the purge takes rows that are too old to matter, and no others", async () => {
    await admin`delete from notes.inbox`;
    const old = `${INBOX_LIFETIME_DAYS + 1} days`;
    await admin`insert into notes.inbox values (gen_random_uuid(), 'g', '', now() - ${old}::interval)`;
    await admin`insert into notes.inbox values (gen_random_uuid(), 'g', '', now())`;
    assert.equal(await purgeInbox(consumer), 1);
    assert.equal((await admin`select 1 from notes.inbox`).length, 1);
  });
});
