/** What the law does not ask of every driver: PostgreSQL's own ways to fail and to be misused. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { newId } from "@switchboard/contract/ids";
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import postgres from "postgres";
import { openPostgresBus } from "../postgres.ts";

const log = pino({ level: "silent" });

describe("postgres bus", () => {
  let database: TestDatabase;
  let running: AsyncDisposableStack;
  let admin: postgres.Sql;

  beforeEach(async () => {
    running = new AsyncDisposableStack();
    database = running.use(await testDatabase());
    admin = connect(database.adminUrl);
  });
  afterEach(() => running.disposeAsync());

  function connect(url: string): postgres.Sql {
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    running.defer(() => sql.end({ timeout: 1 }));
    return sql;
  }
  const open = (service: string) => running.use(openPostgresBus({ url: database.url(service), service, log }));
  const event = (key: string): EventEnvelope => ({
    id: newId(),
    source: "identity",
    type: "law.v1.Happened",
    key,
    time: "2026-01-01T00:00:00.000Z",
    actor: "user:u",
    traceparent: "",
    data: new Uint8Array(),
  });

  it("a consumer that is killed in the middle of an event: another gets it within 3 s, in order", async () => {
    const publisher = open("identity");
    const script = new URL("./consumer.fake.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [script, database.url("auth")], { stdio: ["ignore", "pipe", "inherit"] });
    running.defer(() => void child.kill("SIGKILL"));
    await publisher.publish([event("k"), event("k")]);
    await once(child.stdout, "data");
    const handled: string[] = [];
    await open("auth").consume({
      group: "g",
      topics: ["identity"],
      handle: async (events) => void handled.push(...events.map(({ id }) => id)),
    });
    const late = event("k");
    await publisher.publish([late]);
    child.kill("SIGKILL");
    await eventually(() => assert.equal(handled.length, 3), { withinMs: 3_000 });
    assert.equal(handled[2], late.id);
  });

  it("a transaction that commits late is not skipped", async () => {
    const publisher = open("identity");
    const keys: string[] = [];
    await publisher.publish([event("first")]);
    await open("auth").consume({
      group: "g",
      topics: ["identity"],
      handle: async (events) => void keys.push(...events.map(({ key }) => key)),
    });
    const slow = connect(database.url("identity"));
    const committed = Promise.withResolvers<void>();
    const slowly = slow.begin(async (tx) => {
      await tx`select bus.publish(array['i'], array['t'], array['late'], array[''], array[''], array[''], array[''])`;
      await committed.promise;
    });
    // Of other partitions some go ahead; those behind the late one wait for it.
    const others = Array.from({ length: 40 }, (_, index) => `k${index}`);
    const publishing = Promise.all(others.map((key) => open("identity").publish([event(key)])));
    await eventually(() => assert.ok(keys.length > 1));
    committed.resolve();
    await Promise.all([slowly, publishing]);
    await eventually(() => assert.deepEqual(new Set(keys), new Set(["first", "late", ...others])));
    assert.equal(keys.length, 42);
  });

  it("a service reaches the tables through the functions only, and no group but its own", async () => {
    const notes = connect(database.url("notes"));
    for (const table of ["event", "partition", "member", "share", "waiting", "dead_letter", "live_member"]) {
      await assert.rejects(notes.unsafe(`select * from bus.${table}`), { code: "42501" });
    }
    await assert.rejects(connect(database.url("notes_owner"))`select bus.purge()`, { code: "42501" });

    const auth = open("auth");
    await auth.consume({
      group: "g",
      topics: ["identity"],
      maxAttempts: 1,
      handle: () => Promise.reject(new Error("no")),
    });
    await open("identity").publish([event("k")]);
    await eventually(async () => assert.equal((await auth.listDeadLetters("g", 1)).length, 1));
    const [letter] = await auth.listDeadLetters("g", 1);
    const foreign = open("notes");
    assert.deepEqual(await foreign.listDeadLetters("g", 10), []);
    assert.equal(await foreign.redrive("g", letter?.deadLetterId ?? ""), false);
    const [member] = await admin`select member_id from bus.member where owner = 'auth'`;
    await notes`select bus.advance('g', ${member?.member_id}, array['identity'], array[0]::smallint[], array[99])`;
    await notes`select bus.give_share('g', ${member?.member_id}, array['identity'], array[0]::smallint[])`;
    assert.equal((await notes`select * from bus.balance('g', ${member?.member_id})`).length, 0);
    const shares = await admin`select next_offset, member_id from bus.share where owner = 'auth' and partition = 0`;
    assert.equal(shares[0]?.member_id, member?.member_id);
    assert.notEqual(shares[0]?.next_offset, "100");
  });

  it("what a service writes as its source does not count: the topic is that of its role", async () => {
    const misnamed = running.use(openPostgresBus({ url: database.url("notes"), service: "identity", log }));
    await misnamed.publish([event("k")]);
    const rows = await admin`select topic from bus.event`;
    assert.deepEqual(
      rows.map(({ topic }) => topic),
      ["notes"],
    );
  });

  it("the purge takes events older than 7 days, and leaves those that somebody waits for", async () => {
    const publisher = open("identity");
    await publisher.publish([event("old"), event("waiting")]);
    await admin`update bus.event set store_time = now() - interval '8 days'`;
    await publisher.publish([event("new")]);
    await admin`
      insert into bus.waiting (owner, group_name, topic, partition, key, "offset")
      select 'auth', 'g', topic, partition, key, "offset" from bus.event where key = 'waiting'`;
    await connect(database.url("notes"))`select bus.purge()`;
    const kept = await admin`select key from bus.event order by key`;
    assert.deepEqual(
      kept.map(({ key }) => key),
      ["new", "waiting"],
    );
    const keys: string[] = [];
    const auth = open("auth");
    await auth.consume({
      group: "later",
      topics: ["identity"],
      handle: async (events) => void keys.push(...events.map(({ key }) => key)),
    });
    await eventually(() => assert.ok(keys.includes("new") && !keys.includes("old")));
    await eventually(async () => assert.equal(await auth.lag("later"), 0));
  });

  it("starts before PostgreSQL does, and says what it lacks", async () => {
    const url = new URL(database.url("auth"));
    url.port = "1";
    const bus = running.use(openPostgresBus({ url: url.href, service: "auth", log }));
    const subscription = await bus.consume({ group: "g", topics: "*", handle: async () => {} });
    assert.match(bus.problem() ?? "", /cannot be reached/);
    await assert.rejects(bus.publish([{ ...event("k"), source: "auth" }]), { reason: "SERVICE_UNAVAILABLE" });
    await subscription.end();
  });
});
