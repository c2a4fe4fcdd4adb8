import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { newId } from "@switchboard/contract/ids";
import { ACCESS_TOKEN_TTL_MS, CLOCK_TOLERANCE_MS } from "@switchboard/contract/token";
import { PasswordChangedSchema, SessionRevokedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { refused } from "@switchboard/testkit/refused";
import { insertRevocations } from "../src/store/revocations.ts";
import { type AuthUnderTest, GOOD_PASSWORD, newPerson, startAuth } from "./auth-under-test.ts";

let auth: AuthUnderTest;
before(async () => {
  auth = await startAuth({ SWITCHBOARD_AUTH_SIGN_INS_PER_ADDRESS: "100000" });
});
after(() => auth[Symbol.asyncDispose]());

const signIn = async (email: string, password = GOOD_PASSWORD) => {
  const { tokens } = await auth.as().signIn({ email, password });
  return tokens ?? assert.fail("no tokens came");
};

describe("sessions", () => {
  test("are ended one by one by their owner, and by nobody else", async () => {
    const { email, self, tokens } = await newPerson(auth);
    const phone = await signIn(email);
    const phoneId = (await self.listSessions({})).sessions.find(({ current }) => !current)?.sessionId ?? "";
    const stranger = await newPerson(auth);
    await refused("NOT_FOUND", stranger.self.revokeSession({ sessionId: phoneId }));
    await refused("INVALID_FIELD", self.revokeSession({ sessionId: "phone" }));
    const request = { sessionId: phoneId, requestId: newId() };
    await self.revokeSession(request);
    await self.revokeSession(request);
    await refused("NOT_FOUND", self.revokeSession({ sessionId: phoneId }));
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: phone.refreshToken }));
    await auth.as().refreshTokens({ refreshToken: tokens.refreshToken });
    assert.equal((await self.listSessions({})).sessions.length, 1);
  });

  test("are ended all at once, this one too", async () => {
    const { email, self, tokens, userId } = await newPerson(auth);
    const phone = await signIn(email);
    await self.revokeAllSessions({});
    for (const each of [tokens, phone])
      await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: each.refreshToken }));
    assert.equal((await auth.facts(SessionRevokedSchema, userId)).length, 2);
  });

  test("are not for callers without a token, nor for services", async () => {
    await refused("CREDENTIAL_MISSING", auth.as().listSessions({}));
    await refused("PERMISSION_DENIED", auth.inside("identity").listSessions({}));
    await refused("SERVICE_TOKEN_INVALID", auth.inside(undefined).listSessions({}));
  });
});

describe("ChangePassword", () => {
  const newPassword = "a much better password";

  test("takes the new password, refuses the old, and ends the other sessions", async () => {
    const { email, self, tokens, userId } = await newPerson(auth);
    const phone = await signIn(email);
    const request = { currentPassword: GOOD_PASSWORD, newPassword, requestId: newId() };
    await self.changePassword(request);
    await self.changePassword(request);
    await refused("WRONG_CREDENTIALS", signIn(email));
    await signIn(email, newPassword);
    await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: phone.refreshToken }));
    await auth.as().refreshTokens({ refreshToken: tokens.refreshToken });
    assert.equal((await auth.facts(PasswordChangedSchema, userId)).length, 1);
  });

  test("refuses a wrong current password and a weak new one, and changes nothing", async () => {
    const { email, self } = await newPerson(auth);
    await refused("WRONG_CREDENTIALS", self.changePassword({ currentPassword: "not the password", newPassword }));
    const weak = self.changePassword({ currentPassword: GOOD_PASSWORD, newPassword: "123456789012345" });
    assert.deepEqual((await refused("INVALID_FIELD", weak)).fields, ["new_password"]);
    await signIn(email);
  });

  test("repeated with its request_id and another password, is refused by name and changes nothing", async () => {
    const { email, self } = await newPerson(auth);
    const request = { currentPassword: GOOD_PASSWORD, newPassword, requestId: newId() };
    await self.changePassword(request);
    const another = { ...request, currentPassword: newPassword, newPassword: "an even better password" };
    await refused("REQUEST_ID_REUSED", self.changePassword(another));
    await refused("REQUEST_ID_REUSED", self.changePassword({ ...request, currentPassword: "not the password" }));
    await signIn(email, newPassword);
  });

  test("of two at once lets one pass", async () => {
    const { email, self } = await newPerson(auth);
    const passwords = ["first of the two passwords", "second of the two passwords"];
    const outcomes = await Promise.allSettled(
      passwords.map((password) => self.changePassword({ currentPassword: GOOD_PASSWORD, newPassword: password })),
    );
    const passed = passwords.filter((_, index) => outcomes[index]?.status === "fulfilled");
    assert.equal(passed.length, 1);
    await signIn(email, passed[0]);
  });
});

describe("ListRevocations", () => {
  test("tells of each until no token of it can be valid", async () => {
    const { tokens, userId } = await newPerson(auth);
    const gateway = auth.inside("gateway");
    const { lastSequence: before } = await gateway.listRevocations({});
    await auth.as().signOut({ refreshToken: tokens.refreshToken });
    const { revocations, lastSequence } = await gateway.listRevocations({ afterSequence: before });
    const [fact] = await auth.facts(SessionRevokedSchema, userId);
    assert.deepEqual(
      revocations.map(({ sequence, credentialId }) => [sequence, credentialId]),
      [[lastSequence, fact?.credentialId]],
    );
    assert.equal(fact?.sequence, lastSequence);
    const keptMs = timestampMs(revocations[0]?.expireTime ?? assert.fail()) - auth.clock.now();
    assert.equal(keptMs, ACCESS_TOKEN_TTL_MS + CLOCK_TOLERANCE_MS);
    assert.deepEqual((await gateway.listRevocations({ afterSequence: lastSequence })).lastSequence, lastSequence);
    auth.clock.advance(keptMs + 1);
    await auth.runJob("purge");
    assert.equal((await gateway.listRevocations({})).revocations.length, 0);
    assert.equal((await auth.sql`select 1 from auth.revocation`).length, 0);
  });

  test("never skips one that is committed late", async () => {
    const [early, late] = [await newPerson(auth), await newPerson(auth)];
    const gateway = auth.inside("gateway");
    const { lastSequence: start } = await gateway.listRevocations({});
    // A transaction that has its number and does not commit yet holds every later one back.
    const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
    const { promise: holds, resolve: held } = Promise.withResolvers<void>();
    const slowWrite = auth.database.transaction({ actor: "service:auth", trace: undefined }, async (tx) => {
      await insertRevocations(tx.queries, [newId()], new Date(auth.clock.now() + 600_000));
      held();
      await mayCommit;
    });
    await holds;
    const signOuts = Promise.all(
      [early, late].map(({ tokens }) => auth.as().signOut({ refreshToken: tokens.refreshToken })),
    );
    const seen = await gateway.listRevocations({ afterSequence: start });
    assert.equal(seen.lastSequence, start);
    commit();
    await Promise.all([slowWrite, signOuts]);
    assert.equal((await gateway.listRevocations({ afterSequence: seen.lastSequence })).revocations.length, 3);
  });

  test("is for services only", async () => {
    const { self } = await newPerson(auth);
    await refused("UNKNOWN_METHOD", self.listRevocations({}));
    await refused("SERVICE_TOKEN_INVALID", auth.inside(undefined).listRevocations({}));
  });
});
