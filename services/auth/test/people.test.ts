import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SessionRevokedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import {
  UserDeletedSchema,
  UserDisabledSchema,
  UserEnabledSchema,
  UserUndeletedSchema,
  UserUpdatedSchema,
} from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuthUnderTest, GOOD_PASSWORD, newPerson, startAuth } from "./auth-under-test.ts";

const password = GOOD_PASSWORD;

let auth: AuthUnderTest;
before(async () => {
  auth = await startAuth({ SWITCHBOARD_AUTH_SIGN_INS_PER_ADDRESS: "100000" });
});
after(() => auth[Symbol.asyncDispose]());

describe("what Identity tells", () => {
  const ends = [
    { gone: UserDisabledSchema, back: UserEnabledSchema },
    { gone: UserDeletedSchema, back: UserUndeletedSchema },
  ] as const;
  for (const { gone, back } of ends) {
    test(`${gone.name} ends sessions and keys and refuses sign-in, until ${back.name}`, async () => {
      const { email, self, tokens, userId } = await newPerson(auth);
      const { secret } = await self.createApiKey({ displayName: "key" });
      await auth.deliver(gone, { userId });
      await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: tokens.refreshToken }));
      await refused("API_KEY_INVALID", auth.inside("gateway").exchangeApiKey({ secret }));
      await refused("WRONG_CREDENTIALS", auth.as().signIn({ email, password }));
      assert.equal((await auth.facts(SessionRevokedSchema, userId)).length, 2);
      await auth.deliver(back, { userId });
      await refused("REFRESH_TOKEN_INVALID", auth.as().refreshTokens({ refreshToken: tokens.refreshToken }));
      await auth.as().signIn({ email, password });
    });
  }

  test("UserUpdated with another e-mail lets people sign in with it, and no more with the old", async () => {
    const { email, userId } = await newPerson(auth);
    const moved = `Moved-${email}`;
    auth.neighbours.people.set(userId, { email: moved, displayName: "Ada" });
    await auth.deliver(UserUpdatedSchema, { userId, email: moved, displayName: "Ada", changedFields: ["email"] });
    await refused("WRONG_CREDENTIALS", auth.as().signIn({ email, password }));
    assert.equal((await auth.as().signIn({ email: moved.toLowerCase(), password })).userId, userId);
    await newPerson(auth, email);
  });

  test("lets the e-mail of a person who is gone for good go to another", async () => {
    const [gone, heir] = [await newPerson(auth), await newPerson(auth)];
    await auth.deliver(UserDeletedSchema, { userId: gone.userId });
    await auth.deliver(UserUpdatedSchema, { userId: heir.userId, email: gone.email, changedFields: ["email"] });
    assert.equal((await auth.as().signIn({ email: gone.email, password })).userId, heir.userId);
  });

  test("keeps nothing of people deleted more than a month ago", async () => {
    const { userId } = await newPerson(auth);
    await auth.deliver(UserDeletedSchema, { userId });
    auth.clock.advance(30 * 24 * 60 * 60_000);
    await auth.runJob("purge");
    assert.equal((await auth.sql`select 1 from auth.account where user_id = ${userId}`).length, 1);
    auth.clock.advance(2 * 24 * 60 * 60_000);
    await auth.runJob("purge");
    assert.equal((await auth.sql`select 1 from auth.account where user_id = ${userId}`).length, 0);
  });

  test("about somebody without an account changes nothing", async () => {
    await auth.deliver(UserDisabledSchema, { userId: "00000000-0000-7000-8000-000000000000" });
  });

  test("UserDisabled at the moment of a sign-in leaves no session behind", async () => {
    for (let round = 0; round < 5; round++) {
      const { email, userId } = await newPerson(auth);
      await Promise.allSettled([
        auth.as().signIn({ email, password }),
        auth.as().signIn({ email, password }),
        auth.deliver(UserDisabledSchema, { userId }),
      ]);
      assert.equal((await auth.sql`select 1 from auth.session where user_id = ${userId}`).length, 0);
    }
  });
});
