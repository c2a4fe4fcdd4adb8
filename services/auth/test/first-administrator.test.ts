import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { refused } from "@switchboard/testkit/refused";
import { GOOD_PASSWORD, newPerson, startAuth } from "./auth-under-test.ts";

const admin = { email: "admin@example.com", password: GOOD_PASSWORD };
const settings = { SWITCHBOARD_ADMIN_EMAIL: admin.email, SWITCHBOARD_ADMIN_PASSWORD: admin.password };
const waiting = ["the first administrator is not made yet"];

describe("the first administrator", () => {
  test("is made as soon as Identity and Authz are there, once for ever", async () => {
    await using auth = await startAuth(settings);
    const { neighbours } = auth;
    const attempt = () => auth.runJob("first-administrator");
    await auth.runJob("rotate-signing-keys");
    assert.deepEqual(auth.problems(), waiting);
    neighbours.identity = "away";
    await attempt();
    assert.deepEqual(auth.problems(), waiting);
    neighbours.identity = "mute";
    await attempt();
    neighbours.identity = "there";
    neighbours.authz = "away";
    await attempt();
    assert.deepEqual(auth.problems(), waiting);
    neighbours.authz = "there";
    await attempt();
    assert.deepEqual(auth.problems(), []);
    const { userId } = await auth.as().signIn(admin);
    assert.deepEqual(neighbours.grants, [`user:${userId} admin platform:switchboard`]);
    assert.equal(neighbours.people.size, 1);

    const later = await auth.another();
    await later.runJob("first-administrator");
    assert.equal(neighbours.grants.length, 1, "a role that was taken away must not come back with a start");
    assert.equal(neighbours.people.size, 1);
  });

  test("is not whoever took the e-mail first", async () => {
    await using auth = await startAuth(settings);
    await auth.runJob("rotate-signing-keys");
    await auth.as().signUp({ ...admin, password: "somebody else's password", displayName: "Eve" });
    await auth.runJob("first-administrator");
    assert.match(auth.problems().join(), /SWITCHBOARD_ADMIN_EMAIL belongs to somebody/);
    assert.deepEqual(auth.neighbours.grants, []);
  });

  test("whose sign-up the other job finished is granted the role all the same", async () => {
    await using auth = await startAuth(settings);
    auth.neighbours.identity = "away";
    await auth.runJob("first-administrator");
    auth.neighbours.identity = "there";
    auth.clock.advance(61_000);
    await auth.runJob("finish-sign-ups");
    await auth.runJob("first-administrator");
    assert.equal(auth.neighbours.grants.length, 1);
  });

  test("is not made where none is set", async () => {
    await using auth = await startAuth();
    await auth.runJob("rotate-signing-keys");
    await auth.runJob("first-administrator");
    assert.deepEqual(auth.problems(), []);
    assert.equal(auth.neighbours.people.size, 0);
  });
});

test("nothing secret reaches the log, the stored answers or the facts", async () => {
  await using auth = await startAuth({ ...settings, SWITCHBOARD_ADMIN_PASSWORD: "the administrator's password" });
  const { email, self, tokens } = await newPerson(auth);
  await auth.runJob("first-administrator");
  const { apiKey, secret } = await self.createApiKey({ displayName: "key", requestId: crypto.randomUUID() });
  await auth.inside("gateway").exchangeApiKey({ secret });
  await refused("WRONG_CREDENTIALS", auth.as().signIn({ email, password: "a wrong password" }));
  const newPassword = "a much better password";
  await self.changePassword({ currentPassword: GOOD_PASSWORD, newPassword, requestId: crypto.randomUUID() });
  const { tokens: newTokens } = await auth.as().refreshTokens({ refreshToken: tokens.refreshToken });
  auth.clock.advance(20_000);
  await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: tokens.refreshToken }));
  auth.neighbours.identity = "away";
  const interrupted = { email: "away@example.com", password: "an interrupted password", displayName: "Ada" };
  await refused("SERVICE_UNAVAILABLE", auth.as().signUp(interrupted));
  await self.revokeApiKey({ apiKeyId: apiKey?.apiKeyId ?? "" }).catch(() => {});
  await auth.sql`alter table auth.session rename to elsewhere`;
  await refused("INTERNAL", auth.as().signIn({ email, password: newPassword }));
  await refused("INTERNAL", auth.as().refreshTokens({ refreshToken: newTokens?.refreshToken ?? "" }));

  const [stored] = await auth.sql<{ everything: string }[]>`
    select coalesce(string_agg(encode(bytes, 'escape'), ' '), '') as everything from (
      select data as bytes from auth.outbox union all select answer from auth.stored_answer
    ) as kept`;
  const secrets = [
    GOOD_PASSWORD,
    newPassword,
    "a wrong password",
    "an interrupted password",
    "the administrator's password",
    secret,
    secret.slice(12),
    tokens.accessToken,
    tokens.refreshToken,
    newTokens?.accessToken ?? assert.fail("no tokens came"),
    newTokens?.refreshToken ?? "",
    "a secret that only this test knows",
    "$argon2id$",
  ];
  for (const each of secrets) {
    assert.ok(!auth.log().includes(each), `the log holds ${each}`);
    assert.ok(!stored?.everything.includes(each), `the tables hold ${each}`);
  }
  assert.match(auth.log(), /AuthService\/SignIn/);
});
