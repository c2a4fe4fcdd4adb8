import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { newId } from "@switchboard/contract/ids";
import { resolvePolicy } from "@switchboard/contract/policy";
import { CallRecordedSchema } from "@switchboard/gen/switchboard/audit/v1/audit_events_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import postgres from "postgres";
import { type Call, callKey } from "../rpc/call.ts";
import type { Database, Transaction } from "./database.ts";
import { migrate } from "./migrate.ts";
import { openDatabase } from "./open-database.ts";
import { createWrites, purgeStoredAnswers, STORED_ANSWER_LIFETIME_MS } from "./stored-answers.ts";
import type { Writes } from "./write.ts";

const log = pino({ level: "silent" });
/** Also what crashing-write.fake.ts has. */
const secret = "the secret of the service notes";
const { signUp, signIn, revokeAllSessions } = AuthService.method;
const migrations = new URL("./fixtures/migrations", import.meta.url).pathname;

describe("safe writes", () => {
  let server: TestDatabase;
  let admin: postgres.Sql;
  let database: Database;
  let writes: Writes;
  let time = Date.parse("2026-01-01T00:00:00Z");
  let nextThing = 0;

  before(async () => {
    server = await testDatabase();
    await migrate({ url: server.url("notes_owner"), schema: "notes", folder: migrations, log });
    database = openDatabase({ url: server.url("notes"), schema: "notes", log });
    admin = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
    writes = createWrites({ database, secret, now: () => time });
  });
  after(async () => {
    await admin?.end();
    await database?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  function callTo(method: Parameters<typeof resolvePolicy>[0], actor = `user:${newId()}`): Call {
    return {
      actor,
      principal: { kind: "anonymous" },
      policy: resolvePolicy(method),
      callingService: "gateway",
      accessToken: undefined,
      trace: { traceId: "1".repeat(32), spanId: "1".repeat(16), sampled: false },
      requestId: "r",
      clientAddress: "",
      audited: false,
      object: "",
    };
  }
  const contextOf = (call: Call) => ({ values: createContextValues().set(callKey, call) }) as unknown as HandlerContext;
  /** A change that anybody can see the number of. */
  const insertThing = async (tx: Transaction) => {
    nextThing += 1;
    await tx.queries.execute(sql`insert into thing (id) values (${nextThing})`);
    return nextThing;
  };
  const things = async () => Number((await admin`select count(*) from notes.thing`)[0]?.count);
  const signUpOnce = (call: Call, request: MessageInitShape<typeof signUp.input>) =>
    writes.write(signUp, create(signUp.input, request), contextOf(call), async (tx) => ({
      userId: `user ${await insertThing(tx)}`,
      tokens: { accessToken: "secret access", refreshToken: "secret refresh" },
    }));
  const auditEntries = async (actor: string) => {
    const rows = await admin`select data from notes.outbox where key = ${actor} order by position`;
    return rows.map(({ data }) => fromBinary(CallRecordedSchema, data));
  };

  it("the same request again gets the same answer and changes nothing", async () => {
    const call = callTo(signUp);
    const request = { email: "a@example.com", password: "p", requestId: newId() };
    const first = await signUpOnce(call, request);
    const before = await things();
    const again = await signUpOnce({ ...call, audited: false }, request);
    assert.equal(again.userId, first.userId);
    assert.equal(await things(), before);
    assert.equal(first.tokens?.accessToken, "secret access");
  });

  it("neither stores nor gives again what is sensitive", async () => {
    const call = callTo(signUp);
    const request = { email: "a@example.com", password: "one", requestId: newId() };
    await signUpOnce(call, request);
    const again = await signUpOnce(call, request);
    assert.equal(again.tokens?.accessToken, "");
    const [row] = await admin`select answer from notes.stored_answer where request_id = ${request.requestId}`;
    assert.doesNotMatch(Buffer.from(row?.answer).toString("latin1"), /secret/);
  });

  it("tells what is sensitive apart, and keeps nothing that it could be guessed from without the secret", async () => {
    const requestId = newId();
    const request = create(signUp.input, { email: "a@example.com", password: "guess me", requestId });
    await signUpOnce(callTo(signUp, "user:victim"), request);
    const another = signUpOnce(callTo(signUp, "user:victim"), { ...request, password: "another" });
    await assert.rejects(another, { reason: "REQUEST_ID_REUSED" });
    const [kept] = await admin`select request_hash from notes.stored_answer where request_id = ${requestId}`;
    const withoutId = toBinary(signUp.input, { ...request, requestId: "" });
    assert.notDeepEqual(kept?.request_hash, createHash("sha256").update(withoutId).digest());
    // The same request under another secret is not the same: who has the table alone can try nothing.
    const elsewhere = createWrites({ database, secret: "another secret", now: () => time });
    const guess = elsewhere.write(signUp, request, contextOf(callTo(signUp, "user:victim")), async () => ({}));
    await assert.rejects(guess, { reason: "REQUEST_ID_REUSED" });
  });

  it("makes the answer anew where the method says how", async () => {
    const call = callTo(signUp);
    const request = create(signUp.input, { email: "a@example.com", requestId: newId() });
    const change = async () => ({ userId: "u", tokens: { accessToken: "first" } });
    const replay = async ({ userId }: { userId: string }) => ({ userId, tokens: { accessToken: "second" } });
    const write = () => writes.write(signUp, request, contextOf(call), change, { replay });
    assert.equal((await write()).tokens?.accessToken, "first");
    const again = await write();
    assert.equal(again.tokens?.accessToken, "second");
    assert.equal(again.userId, "u");
  });

  it("refuses a request_id that came with another body, by name", async () => {
    const call = callTo(signUp);
    const requestId = newId();
    await signUpOnce(call, { email: "a@example.com", requestId });
    const before = await things();
    await assert.rejects(signUpOnce(call, { email: "b@example.com", requestId }), { reason: "REQUEST_ID_REUSED" });
    assert.equal(await things(), before);
  });

  it("takes the letters of a request_id in either case, and refuses one that is no UUID", async () => {
    const call = callTo(signUp);
    const requestId = newId();
    const first = await signUpOnce(call, { email: "a@example.com", requestId });
    const again = await signUpOnce(call, { email: "a@example.com", requestId: requestId.toUpperCase() });
    assert.equal(again.userId, first.userId);
    await assert.rejects(signUpOnce(call, { requestId: "1" }), {
      reason: "INVALID_FIELD",
      violations: [{ field: "request_id", description: "must be a UUID, new with every request" }],
    });
  });

  it("callers and methods do not share request_ids", async () => {
    const requestId = newId();
    const before = await things();
    await signUpOnce(callTo(signUp), { email: "a@example.com", requestId });
    await signUpOnce(callTo(signUp), { email: "b@example.com", requestId });
    const call = callTo(revokeAllSessions);
    const request = create(revokeAllSessions.input, { requestId });
    await writes.write(revokeAllSessions, request, contextOf(call), async (tx) => {
      await insertThing(tx);
      return {};
    });
    assert.equal(await things(), before + 3);
  });

  it("parallel repeats wait for the first and get its answer", async () => {
    const call = callTo(signUp);
    const before = await things();
    const request = { email: "a@example.com", requestId: newId() };
    const answers = await Promise.all(Array.from({ length: 4 }, () => signUpOnce({ ...call }, request)));
    assert.equal(new Set(answers.map(({ userId }) => userId)).size, 1);
    assert.equal(await things(), before + 1);
  });

  it("a write that failed can be repeated", async () => {
    const call = callTo(signUp);
    const request = create(signUp.input, { email: "a@example.com", requestId: newId() });
    const failing = async () => Promise.reject(new Error("no"));
    await assert.rejects(writes.write(signUp, request, contextOf(call), failing), /no/);
    assert.equal(call.audited, false);
    assert.match((await signUpOnce(call, request)).userId, /user/);
  });

  it("an answer is given again for a day, then it counts as not there, and the purge takes it", async () => {
    const call = callTo(signUp);
    const request = { email: "a@example.com", requestId: newId() };
    const first = await signUpOnce(call, request);
    time += STORED_ANSWER_LIFETIME_MS - 1;
    assert.equal((await signUpOnce(call, request)).userId, first.userId);
    time += 1;
    assert.notEqual((await signUpOnce(call, request)).userId, first.userId);
    time += STORED_ANSWER_LIFETIME_MS;
    const stored = Number((await admin`select count(*) from notes.stored_answer`)[0]?.count);
    assert.equal(await purgeStoredAnswers(database, time), stored);
  });

  it("each effect has one audit entry, in the same transaction; repeats add none", async () => {
    const call = callTo(signUp);
    const request = create(signUp.input, { email: "a@example.com", requestId: newId() });
    for (let repeat = 0; repeat < 2; repeat++) {
      call.audited = false;
      await writes.write(signUp, request, contextOf(call), async () => {
        call.object = "user:made";
        return {};
      });
      assert.equal(call.audited, true);
    }
    const entries = await auditEntries(call.actor);
    assert.equal(entries.length, 1);
    assert.equal(entries[0]?.method, "switchboard.auth.v1.AuthService/SignUp");
    assert.equal(entries[0]?.object, "user:made");
    assert.equal(entries[0]?.count, 1n);
  });

  it("a request without a request_id, or without the field, changes something each time", async () => {
    const before = await things();
    await signUpOnce(callTo(signUp), { email: "a@example.com" });
    await signUpOnce(callTo(signUp), { email: "a@example.com" });
    const call = callTo(signIn);
    await writes.write(signIn, create(signIn.input), contextOf(call), async (tx) => ({
      userId: String(await insertThing(tx)),
    }));
    assert.equal(await things(), before + 3);
    assert.equal((await auditEntries(call.actor)).length, 1);
  });

  it("killed between commit and answer and asked again: one effect, the same answer", async () => {
    const requestId = newId();
    const crashing = new URL("./crashing-write.fake.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [crashing, server.url("notes"), requestId], { stdio: "inherit" });
    const [, signal] = await once(child, "exit");
    assert.equal(signal, "SIGKILL");
    assert.equal((await admin`select 1 from notes.thing where id = 900`).length, 1);
    const call = callTo(revokeAllSessions, "user:crash");
    const request = create(revokeAllSessions.input, { requestId });
    const unexpected = async () => Promise.reject(new Error("ran a second time"));
    const answer = await createWrites({ database, secret, now: Date.now }).write<DescMessage, DescMessage>(
      revokeAllSessions,
      request,
      contextOf(call),
      unexpected,
    );
    assert.equal(answer.$typeName, revokeAllSessions.output.typeName);
    assert.equal((await auditEntries("user:crash")).length, 1);
  });
});
