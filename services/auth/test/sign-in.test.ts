import assert from "node:assert/strict";
import { argon2Sync } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { CallRecordedSchema } from "@switchboard/gen/switchboard/audit/v1/audit_events_pb";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { SignedUpSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuthUnderTest, GOOD_PASSWORD, newPerson, startAuth } from "./auth-under-test.ts";

let auth: AuthUnderTest;
before(async () => {
  auth = await startAuth({ SWITCHBOARD_AUTH_SIGN_INS_PER_ADDRESS: "100000" });
});
after(() => auth[Symbol.asyncDispose]());

describe("SignUp", () => {
  test("makes an account, its person in Identity, and a session", async () => {
    const { userId, email, tokens, self } = await newPerson(auth);
    assert.deepEqual(auth.neighbours.people.get(userId), { email, displayName: "Ada" });
    assert.equal((await self.listSessions({})).sessions.length, 1);
    assert.equal((await auth.facts(SignedUpSchema, userId)).length, 1);
    assert.notEqual(tokens.refreshToken, "");
  });

  test("takes an e-mail once, in whatever letter case", async () => {
    const { email } = await newPerson(auth, "Ada.Byron@Example.com");
    for (const again of [email, "ada.byron@example.com", "ADA.BYRON@EXAMPLE.COM"]) {
      const call = auth.as().signUp({ email: again, password: `${GOOD_PASSWORD}!`, displayName: "Eve" });
      await refused("ALREADY_EXISTS", call);
    }
    const parallel = await Promise.allSettled(
      ["x@example.com", "X@example.com", "x@EXAMPLE.com"].map((mail) => newPerson(auth, mail)),
    );
    assert.equal(parallel.filter(({ status }) => status === "fulfilled").length, 1);
  });

  test("names every field that is wrong", async () => {
    const bad = auth.as().signUp({ email: "ada", password: GOOD_PASSWORD, displayName: " " });
    assert.deepEqual((await refused("INVALID_FIELD", bad)).fields, ["email", "display_name"]);
    const weak = auth.as().signUp({ email: "weak@example.com", password: "short", displayName: "Ada" });
    const { fields, rawMessage } = await refused("INVALID_FIELD", weak);
    assert.deepEqual(fields, ["password"]);
    assert.match(rawMessage, /at least 15 characters/);
  });

  test("repeated with its request_id and password, answers the same person with new tokens", async () => {
    const request = { email: "again@example.com", password: GOOD_PASSWORD, displayName: "Ada", requestId: newId() };
    const first = await auth.as().signUp(request);
    const second = await auth.as().signUp(request);
    assert.equal(second.userId, first.userId);
    assert.notEqual(second.tokens?.refreshToken, first.tokens?.refreshToken);
    assert.equal((await auth.as(second.tokens).listSessions({})).sessions.length, 2);
    assert.equal((await auth.facts(SignedUpSchema, first.userId)).length, 1);
  });

  test("repeated with its request_id and something else, is refused and makes nobody", async () => {
    const request = { email: "first@example.com", password: GOOD_PASSWORD, displayName: "Ada", requestId: newId() };
    await auth.as().signUp(request);
    const people = auth.neighbours.people.size;
    await refused("REQUEST_ID_REUSED", auth.as().signUp({ ...request, password: `${GOOD_PASSWORD}!` }));
    await refused("REQUEST_ID_REUSED", auth.as().signUp({ ...request, displayName: "Eve" }));
    await refused("REQUEST_ID_REUSED", auth.as().signUp({ ...request, email: "second@example.com" }));
    await refused("INVALID_FIELD", auth.as().signUp({ ...request, requestId: "1" }));
    assert.equal(auth.neighbours.people.size, people);
  });

  test("sent twice at once with one request_id, makes one person", async () => {
    const other = await auth.another();
    const request = { email: "twice@example.com", password: GOOD_PASSWORD, displayName: "Ada", requestId: newId() };
    const answers = await Promise.all([auth, other, auth, other].map((instance) => instance.as().signUp(request)));
    assert.equal(new Set(answers.map(({ userId }) => userId)).size, 1);
  });
});

describe("SignUp, interrupted", () => {
  const request = (email: string) => ({ email, password: GOOD_PASSWORD, displayName: "Ada" });
  const restore = () => {
    auth.neighbours.identity = "there";
  };

  test("while Identity is away says so, and is finished by trying again", async (t) => {
    t.after(restore);
    auth.neighbours.identity = "away";
    await refused("SERVICE_UNAVAILABLE", auth.as().signUp(request("later@example.com")));
    await refused("WRONG_CREDENTIALS", auth.as().signIn(request("later@example.com")));
    restore();
    await refused("ALREADY_EXISTS", auth.as().signUp({ ...request("later@example.com"), password: "somebody else's" }));
    const { userId } = await auth.as().signUp(request("later@example.com"));
    assert.equal(auth.neighbours.people.get(userId)?.email, "later@example.com");
  });

  test("after Identity made the person but its answer was lost, is finished with the same person", async (t) => {
    t.after(restore);
    auth.neighbours.identity = "mute";
    await refused("SERVICE_UNAVAILABLE", auth.as().signUp(request("lost@example.com")));
    restore();
    const { userId } = await auth.as().signUp(request("lost@example.com"));
    const made = [...auth.neighbours.people].filter(([, person]) => person.email === "lost@example.com");
    assert.deepEqual(
      made.map(([id]) => id),
      [userId],
    );
  });

  test("and left alone, is finished by the job once Identity is there", async (t) => {
    t.after(restore);
    auth.neighbours.identity = "mute";
    await refused("SERVICE_UNAVAILABLE", auth.as().signUp(request("left@example.com")));
    await auth.runJob("finish-sign-ups");
    restore();
    await auth.runJob("finish-sign-ups");
    await refused("WRONG_CREDENTIALS", auth.as().signIn(request("left@example.com")));
    auth.clock.advance(61_000);
    await auth.runJob("finish-sign-ups");
    const { userId } = await auth.as().signIn(request("left@example.com"));
    assert.equal(auth.neighbours.people.get(userId)?.email, "left@example.com");
    assert.equal((await auth.facts(SignedUpSchema, userId)).length, 1);
  });

  test("and refused by Identity later, is removed by the job", async (t) => {
    t.after(restore);
    auth.neighbours.identity = "away";
    await refused("SERVICE_UNAVAILABLE", auth.as().signUp(request("theirs@example.com")));
    restore();
    auth.neighbours.people.set(newId(), { email: "Theirs@example.com", displayName: "Made by an administrator" });
    auth.clock.advance(61_000);
    await auth.runJob("finish-sign-ups");
    assert.equal((await auth.sql`select 1 from auth.account where email = 'theirs@example.com'`).length, 0);
  });

  test("and never to be finished, keeps no other from being finished", async (t) => {
    t.after(restore);
    auth.neighbours.identity = "away";
    const emails = Array.from({ length: 3 }, (_, index) => `behind-${index}@example.com`);
    for (const email of emails) await refused("SERVICE_UNAVAILABLE", auth.as().signUp(request(email)));
    restore();
    // More than one turn looks at, and all of them older.
    await auth.sql`
      insert into auth.account (user_id, email, email_key, display_name, password_hash, state, create_time)
      select format('00000000-0000-7000-8000-%s', lpad(to_hex(n), 12, '0'))::uuid, 'stuck' || n || '@example.com', 'stuck' || n || '@example.com', 'Stuck', '', 'pending',
             to_timestamp(0)
      from generate_series(1, 150) n`;
    for (let n = 1; n <= 150; n++) auth.neighbours.unmakeable.add(`stuck${n}@example.com`);
    auth.clock.advance(61_000);
    const finished = () => [...auth.neighbours.people.values()].filter(({ email }) => emails.includes(email)).length;
    await auth.runJob("finish-sign-ups");
    await auth.runJob("finish-sign-ups");
    assert.equal(finished(), emails.length);
    assert.match(auth.log(), /sign-ups cannot be finished/);
    auth.neighbours.unmakeable.clear();
    await auth.runJob("finish-sign-ups");
    await auth.runJob("finish-sign-ups");
    assert.equal((await auth.sql`select 1 from auth.account where state = 'pending'`).length, 0);
  });

  test("by an e-mail that Identity has, leaves nothing", async () => {
    auth.neighbours.people.set(newId(), { email: "taken@example.com", displayName: "Made by an administrator" });
    await refused("ALREADY_EXISTS", auth.as().signUp(request("TAKEN@example.com")));
    assert.equal((await auth.sql`select 1 from auth.account where email = 'TAKEN@example.com'`).length, 0);
  });
});

describe("SignIn", () => {
  test("opens a session for the right password, in any letter case of the e-mail", async () => {
    const { email, userId } = await newPerson(auth);
    const answer = await auth
      .as({ address: "198.51.100.7" })
      .signIn({ email: email.toUpperCase(), password: GOOD_PASSWORD });
    assert.equal(answer.userId, userId);
    const { sessions } = await auth.as(answer.tokens).listSessions({});
    assert.deepEqual(
      sessions.map(({ current, address }) => [current, address]),
      [
        [true, "198.51.100.7"],
        [false, "192.0.2.1"],
      ],
    );
  });

  test("answers the same for a wrong password, an unknown e-mail and no e-mail at all", async () => {
    const { email } = await newPerson(auth);
    const answers = [];
    for (const who of [email, "nobody@example.com", "no e-mail \0", ""]) {
      answers.push(await refused("WRONG_CREDENTIALS", auth.as().signIn({ email: who, password: "not the password" })));
    }
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
  });

  test("takes a password in another Unicode form of the same characters", async () => {
    const email = "unicode@example.com";
    await auth.as().signUp({ email, password: "pâté à la crème brûlée", displayName: "Ada" });
    await auth.as().signIn({ email, password: "pâté à la crème brûlée".normalize("NFD") });
  });

  test("renews a hash that was made with other parameters", async () => {
    const { email, userId } = await newPerson(auth);
    const old = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$G2bTpPKLbVxOvQVQOTTLfMTbSqoQyM/8GdtMVeYjKbM";
    await auth.sql`update auth.account set password_hash = ${old} where user_id = ${userId}`;
    await refused("WRONG_CREDENTIALS", auth.as().signIn({ email, password: GOOD_PASSWORD }));
    const weak = argon2Sync("argon2id", {
      message: GOOD_PASSWORD,
      nonce: Buffer.from("somesalt"),
      memory: 8,
      passes: 1,
      parallelism: 1,
      tagLength: 32,
    });
    const right = `$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$${weak.toString("base64").replaceAll("=", "")}`;
    await auth.sql`update auth.account set password_hash = ${right} where user_id = ${userId}`;
    await auth.as().signIn({ email, password: GOOD_PASSWORD });
    const [row] = await auth.sql`select password_hash from auth.account where user_id = ${userId}`;
    assert.match(row?.password_hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    await auth.as().signIn({ email, password: GOOD_PASSWORD });
  });

  test("is in the audit log as an act of nobody's on the account", async () => {
    const { email, userId } = await newPerson(auth);
    await auth.as().signIn({ email, password: GOOD_PASSWORD });
    const entries = (await auth.facts(CallRecordedSchema)).filter(({ object }) => object === `user:${userId}`);
    assert.deepEqual(
      entries.map(({ actor, method, outcome }) => [actor, method.split("/")[1], outcome]),
      [
        ["anonymous", "SignUp", Outcome.ALLOWED],
        ["anonymous", "SignIn", Outcome.ALLOWED],
      ],
    );
  });
});
