import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuthUnderTest, GOOD_PASSWORD, type Instance, newPerson, startAuth } from "./auth-under-test.ts";

const PER_NETWORK = 5;
const PER_ACCOUNT = 12;
const PER_ADDRESS = 20;
const WINDOW_MS = 15 * 60_000;
/** Of newPerson(). */
const HOME = "192.0.2.1";

let auth: AuthUnderTest;
before(async () => {
  auth = await startAuth({
    SWITCHBOARD_AUTH_SIGN_INS_PER_ACCOUNT_AND_NETWORK: String(PER_NETWORK),
    SWITCHBOARD_AUTH_SIGN_INS_PER_ACCOUNT: String(PER_ACCOUNT),
    SWITCHBOARD_AUTH_SIGN_INS_PER_ADDRESS: String(PER_ADDRESS),
  });
});
after(() => auth[Symbol.asyncDispose]());

let networks = 0;
/** A network that nobody came from before. */
const elsewhere = () => `2001:db8:${(++networks).toString(16)}::1`;
const right = (email: string, address: string, instance: Instance = auth) =>
  instance.as({ address }).signIn({ email, password: GOOD_PASSWORD });
const wrong = (email: string, address: string, instance: Instance = auth) =>
  instance.as({ address }).signIn({ email, password: "a wrong password" });
/** The reasons that tries were refused with, in their order. */
const reasonsOf = async (tries: readonly Promise<unknown>[]) =>
  (await Promise.allSettled(tries)).map((outcome) =>
    outcome.status === "fulfilled" ? "" : ConnectError.from(outcome.reason).findDetails(ErrorInfoSchema)[0]?.reason,
  );
const count = (reasons: readonly unknown[], reason: string) => reasons.filter((each) => each === reason).length;
/** Wrong passwords from so many networks that each further one is on its guard. */
const guessFromMany = async (email: string) => {
  for (let tries = 0; tries < PER_ACCOUNT; tries++) await refused("WRONG_CREDENTIALS", wrong(email, elsewhere()));
};

describe("wrong passwords", () => {
  test("from one network are bounded, the wait is told, and one at a time may come again", async () => {
    const { email } = await newPerson(auth);
    const stranger = elsewhere();
    for (let tries = 0; tries < PER_NETWORK; tries++) await refused("WRONG_CREDENTIALS", wrong(email, stranger));
    const { retryAfter = 0 } = await refused("RATE_LIMITED", wrong(email, stranger));
    assert.ok(retryAfter > 0 && retryAfter <= WINDOW_MS / PER_NETWORK / 1000, `${retryAfter} s`);
    await refused("RATE_LIMITED", right(email, stranger));
    auth.clock.advance((retryAfter + 1) * 1000);
    await refused("WRONG_CREDENTIALS", wrong(email, stranger));
    await refused("RATE_LIMITED", wrong(email, stranger));
  });

  test("of a stranger keep nobody out: neither at home, nor elsewhere, nor from changing the password", async () => {
    const { email, self } = await newPerson(auth);
    const stranger = elsewhere();
    const tries = await reasonsOf(Array.from({ length: 40 }, () => wrong(email, stranger)));
    assert.equal(count(tries, "WRONG_CREDENTIALS"), PER_NETWORK);
    assert.equal(count(tries, "RATE_LIMITED"), 40 - PER_NETWORK);
    await right(email, HOME);
    await right(email, elsewhere());
    await self.changePassword({ currentPassword: GOOD_PASSWORD, newPassword: "a much better password" });
  });

  test("at once get no more tries than one after another, on two instances one more at most", async () => {
    const other = await auth.another();
    const { email } = await newPerson(auth);
    const stranger = elsewhere();
    const tries = await reasonsOf(
      Array.from({ length: 30 }, (_, index) => wrong(email, stranger, [auth, other][index % 2])),
    );
    const made = count(tries, "WRONG_CREDENTIALS");
    assert.ok(made === PER_NETWORK || made === PER_NETWORK + 1, `${made} passwords were tried`);
    for (const instance of [auth, other]) await refused("RATE_LIMITED", wrong(email, stranger, instance));
  });

  test("from many networks leave each further one a few, and those all where the account is known", async () => {
    const { email } = await newPerson(auth);
    await guessFromMany(email);
    const fresh = elsewhere();
    for (let tries = 0; tries < 3; tries++) await refused("WRONG_CREDENTIALS", wrong(email, fresh));
    await refused("RATE_LIMITED", wrong(email, fresh));
    const mobile = elsewhere();
    await refused("WRONG_CREDENTIALS", wrong(email, mobile));
    await right(email, mobile);
    for (let tries = 0; tries < PER_NETWORK; tries++) await refused("WRONG_CREDENTIALS", wrong(email, mobile));
    await refused("RATE_LIMITED", wrong(email, mobile));
    await right(email, HOME);
    auth.clock.advance(WINDOW_MS);
    const later = elsewhere();
    for (let tries = 0; tries < PER_NETWORK; tries++) await refused("WRONG_CREDENTIALS", wrong(email, later));
  });

  test("from one address are bounded, whatever the account, except for those who signed in there before", async () => {
    const office = "203.0.113.9";
    const { email } = await newPerson(auth);
    await right(email, office);
    const sprayed = Array.from({ length: PER_ADDRESS }, () => wrong(`${randomUUID()}@example.com`, office));
    assert.equal(count(await reasonsOf(sprayed), "WRONG_CREDENTIALS"), PER_ADDRESS);
    const newcomer = await newPerson(auth);
    await refused("RATE_LIMITED", right(newcomer.email, office));
    await right(email, office);
    await right(newcomer.email, "203.0.113.10");
  });

  test("are answered alike whether there is an account or not", async () => {
    const { email } = await newPerson(auth);
    const answers = [];
    for (const who of [email, "nobody@example.com", "no e-mail \0"]) {
      const [one, many] = [elsewhere(), elsewhere()];
      const outcomes = [];
      for (let tries = 0; tries < PER_NETWORK + 2; tries++) outcomes.push(...(await reasonsOf([wrong(who, one)])));
      for (let tries = PER_NETWORK; tries < PER_ACCOUNT; tries++) await reasonsOf([wrong(who, elsewhere())]);
      for (let tries = 0; tries < 5; tries++) outcomes.push(...(await reasonsOf([wrong(who, many)])));
      answers.push(outcomes);
    }
    assert.deepEqual(answers[1], answers[0]);
    assert.deepEqual(answers[2], answers[0]);
    assert.equal(count(answers[0] ?? [], "WRONG_CREDENTIALS"), PER_NETWORK + 3);
  });

  test("for a sign-up, and for a change of the password, are bounded too", async () => {
    const { email, self } = await newPerson(auth);
    const stranger = auth.as({ address: elsewhere() });
    const signUp = () => stranger.signUp({ email, password: "somebody else's password", displayName: "Eve" });
    for (let tries = 0; tries < PER_NETWORK; tries++) await refused("ALREADY_EXISTS", signUp());
    await refused("RATE_LIMITED", signUp());
    const change = (currentPassword: string) =>
      self.changePassword({ currentPassword, newPassword: "a much better password" });
    for (let tries = 0; tries < PER_NETWORK; tries++) await refused("WRONG_CREDENTIALS", change("not the password"));
    await refused("RATE_LIMITED", change(GOOD_PASSWORD));
  });

  test("are not tried while nobody can count them", async (t) => {
    const { email } = await newPerson(auth);
    await auth.sql`alter table auth.failed_tries rename to elsewhere`;
    t.after(() => auth.sql`alter table auth.elsewhere rename to failed_tries`);
    await refused("INTERNAL", wrong(email, HOME));
    await refused("INTERNAL", right(email, HOME));
  });
});

describe("right passwords", () => {
  test("count nothing, however many come", async () => {
    const { email } = await newPerson(auth);
    const address = elsewhere();
    const tries = Array.from({ length: PER_ADDRESS + 5 }, () => right(email, address));
    assert.equal(count(await reasonsOf(tries), ""), PER_ADDRESS + 5);
  });

  test("make up for wrong ones from there", async () => {
    const { email } = await newPerson(auth);
    for (let round = 0; round < 3; round++) {
      for (let tries = 1; tries < PER_NETWORK; tries++) await refused("WRONG_CREDENTIALS", wrong(email, HOME));
      await right(email, HOME);
    }
  });
});

test("nothing is kept of tries for longer than it counts, nor of a network for longer than a session can last", async () => {
  const { email } = await newPerson(auth);
  await refused("WRONG_CREDENTIALS", wrong(email, elsewhere()));
  const kept = async () =>
    (
      await auth.sql`select (select count(*)::int from auth.failed_tries) as tries,
      (select count(*)::int from auth.known_network) as networks`
    )[0];
  auth.clock.advance(WINDOW_MS);
  await auth.runJob("purge");
  const { tries, networks: known } = (await kept()) ?? {};
  assert.equal(tries, 0);
  assert.ok(known > 0);
  auth.clock.advance(90 * 24 * 60 * 60_000);
  await auth.runJob("purge");
  assert.equal((await kept())?.networks, 0);
});
