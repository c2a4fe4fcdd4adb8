import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { RefreshTokenReusedSchema, SessionRevokedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import type { Tokens } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuthUnderTest, type Instance, newPerson, startAuth } from "./auth-under-test.ts";

const DAY_MS = 24 * 60 * 60_000;

let auth: AuthUnderTest;
let other: Instance;
before(async () => {
  auth = await startAuth({ SWITCHBOARD_AUTH_SIGN_INS_PER_ADDRESS: "100000" });
  other = await auth.another();
});
after(() => auth[Symbol.asyncDispose]());

async function refresh({ refreshToken }: Tokens, instance: Instance = auth): Promise<Tokens> {
  const { tokens } = await instance.as().refreshTokens({ refreshToken });
  return tokens ?? assert.fail("no tokens came");
}

describe("RefreshTokens", () => {
  test("gives new tokens, again and again, of one session", async () => {
    const { tokens: first } = await newPerson(auth);
    auth.clock.advance(60_000);
    const second = await refresh(first);
    auth.clock.advance(60_000);
    const third = await refresh(second, other);
    assert.equal(new Set([first, second, third].map(({ refreshToken }) => refreshToken)).size, 3);
    assert.notEqual(second.accessToken, third.accessToken);
    const { sessions } = await auth.as(third).listSessions({});
    assert.equal(sessions.length, 1);
    assert.equal(timestampMs(sessions[0]?.lastUseTime ?? assert.fail()), auth.clock.now());
  });

  test("within the grace gives the very same answer again, on every instance", async () => {
    const { tokens } = await newPerson(auth);
    const answers = await Promise.all([auth, other, auth, other, auth, other].map((each) => refresh(tokens, each)));
    // Instances turn with one clock here, so that even the access tokens are the same.
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    auth.clock.advance(10_000);
    assert.deepEqual(await refresh(tokens), answers[0]);
    const [answer = assert.fail()] = answers;
    const next = await refresh(answer);
    assert.deepEqual(await refresh(answer, other), next);
    assert.equal((await auth.as(next).listSessions({})).sessions.length, 1);
  });

  test("after the grace ends the session and says so to everybody", async () => {
    const { tokens: stolen, userId } = await newPerson(auth);
    const current = await refresh(stolen);
    auth.clock.advance(10_001);
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: stolen.refreshToken }));
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: current.refreshToken }));
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: stolen.refreshToken }));
    const [reused, ...more] = await auth.facts(RefreshTokenReusedSchema, userId);
    assert.equal(more.length, 0);
    const [revoked] = await auth.facts(SessionRevokedSchema, userId);
    assert.equal(revoked?.credentialId, reused?.sessionId);
    const { revocations } = await auth.inside("identity").listRevocations({});
    assert.ok(revocations.some(({ credentialId }) => credentialId === reused?.sessionId));
  });

  test("of a thief and the owner after the grace, leaves neither in, whoever comes first", async () => {
    const { tokens } = await newPerson(auth);
    const thief = await refresh(tokens, other);
    auth.clock.advance(60_000);
    const outcomes = await Promise.allSettled([refresh(tokens), refresh(tokens, other)]);
    assert.ok(outcomes.every(({ status }) => status === "rejected"));
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: thief.refreshToken }));
  });

  test("ends a session that nobody used for 30 days, and any after 90", async () => {
    const { tokens: idle } = await newPerson(auth);
    auth.clock.advance(30 * DAY_MS);
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: idle.refreshToken }));
    let { tokens } = await newPerson(auth);
    for (let day = 0; day < 80; day += 20) {
      auth.clock.advance(20 * DAY_MS);
      tokens = await refresh(tokens);
    }
    auth.clock.advance(10 * DAY_MS - 60_000);
    const last = await refresh(tokens);
    // The access token ends with its session.
    const end = timestampMs(last.accessTokenExpireTime ?? assert.fail()) - auth.clock.now();
    assert.ok(end <= 60_000 && end > 58_000, `${end} ms`);
    auth.clock.advance(60_000);
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: last.refreshToken }));
    await auth.runJob("purge");
    assert.equal((await auth.sql`select 1 from auth.session`).length, 0);
  });

  test("refuses what is no refresh token", async () => {
    for (const refreshToken of ["", "nonsense", "a".repeat(43), "\0".repeat(43)]) {
      await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken }));
    }
  });
});

describe("SignOut", () => {
  test("ends the session, and is no error when it has ended", async () => {
    const { tokens, userId } = await newPerson(auth);
    await auth.as().signOut({ refreshToken: tokens.refreshToken });
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: tokens.refreshToken }));
    await auth.as().signOut({ refreshToken: tokens.refreshToken });
    await auth.as().signOut({ refreshToken: "unknown" });
    assert.equal((await auth.facts(SessionRevokedSchema, userId)).length, 1);
  });
});
