import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import { CLOCK_TOLERANCE_MS } from "@switchboard/contract/token";
import { testTokens } from "@switchboard/testkit/tokens";
import { type KeySource, staticKeys } from "./key-source.ts";
import { createTokenVerifier } from "./token-verifier.ts";

const START = Date.UTC(2026, 0, 1);

/** A verifier with a clock, and a count of how often a key was asked for: once for each signature that is checked. */
async function setUp({ loaded = true, stalenessMs = 0 } = {}) {
  const tokens = await testTokens();
  const keys = await staticKeys(tokens.keys);
  const state = { now: START, stalenessMs, loaded, checked: 0, known: true, revoked: new Set<string>() };
  const source: KeySource = {
    ...keys,
    loaded: () => state.loaded,
    find(kid) {
      state.checked += 1;
      return state.loaded && state.known ? keys.find(kid) : undefined;
    },
  };
  const revocations = { isRevoked: (id: string) => state.revoked.has(id), stalenessMs: () => state.stalenessMs };
  const verifier = createTokenVerifier({ keys: source, revocations, now: () => state.now });
  const refused = async (verify: () => unknown, reason: ReasonName) => {
    await assert.rejects(
      async () => await verify(),
      (error) => {
        assert.ok(error instanceof AppError, String(error));
        assert.equal(error.reason, reason);
        return true;
      },
    );
  };
  return { tokens, state, verifier, refused };
}

test("a token's signature is checked once, also by a burst of calls; then it is known at once", async () => {
  const { tokens, state, verifier } = await setUp();
  const token = await tokens.accessToken("ada", { now: START });
  const burst = await Promise.all(Array.from({ length: 50 }, async () => verifier.verifyAccessToken(token)));
  assert.ok(burst.every((user) => user.userId === "ada" && user.credentialId === "session-of-ada"));
  assert.equal(state.checked, 1);
  const again = verifier.verifyAccessToken(token);
  assert.ok(!(again instanceof Promise));
  assert.equal(again.subject, "user:ada");
});

test("a known token ends with its time, the clocks' tolerance included", async () => {
  const { tokens, state, verifier, refused } = await setUp();
  const token = await tokens.accessToken("ada", { now: START, ttlMs: 60_000 });
  await verifier.verifyAccessToken(token);
  state.now = START + 60_000 + CLOCK_TOLERANCE_MS - 1;
  await verifier.verifyAccessToken(token);
  state.now += 1;
  await refused(() => verifier.verifyAccessToken(token), "TOKEN_EXPIRED");
  await refused(() => verifier.verifyAccessToken(token), "TOKEN_EXPIRED");
});

test("a revocation holds for tokens that are known already", async () => {
  const { tokens, state, verifier, refused } = await setUp();
  const token = await tokens.accessToken("ada", { now: START });
  await verifier.verifyAccessToken(token);
  state.revoked.add("session-of-ada");
  await refused(() => verifier.verifyAccessToken(token), "CREDENTIAL_REVOKED");
});

describe("what cannot be told is no yes:", () => {
  test("before keys were loaded", async () => {
    const { tokens, state, verifier, refused } = await setUp({ loaded: false });
    const [user, service] = [
      await tokens.accessToken("ada", { now: START }),
      await tokens.serviceToken("auth", { now: START }),
    ];
    await refused(() => verifier.verifyAccessToken(user), "AUTH_UNAVAILABLE");
    await refused(() => verifier.verifyServiceToken(service), "AUTH_UNAVAILABLE");
    state.loaded = true;
    await verifier.verifyAccessToken(user);
    assert.deepEqual(await verifier.verifyServiceToken(service), {
      kind: "service",
      subject: "service:auth",
      service: "auth",
    });
  });

  test("before revocations were loaded, of users; services have none", async () => {
    const { tokens, verifier, refused } = await setUp({ stalenessMs: Number.POSITIVE_INFINITY });
    const token = await tokens.accessToken("ada", { now: START });
    await refused(() => verifier.verifyAccessToken(token), "AUTH_UNAVAILABLE");
    await refused(() => verifier.verifyAccessToken(token), "AUTH_UNAVAILABLE");
    await verifier.verifyServiceToken(await tokens.serviceToken("auth", { now: START }));
  });
});

test("a refused token costs no second signature; one of a key that comes later is taken then", async () => {
  const { tokens, state, verifier, refused } = await setUp();
  const forged = `${(await tokens.accessToken("ada", { now: START })).slice(0, -6)}AAAAAA`;
  await refused(() => verifier.verifyAccessToken(forged), "TOKEN_INVALID");
  await refused(() => verifier.verifyAccessToken(forged), "TOKEN_INVALID");
  assert.equal(state.checked, 1);

  const early = await tokens.accessToken("ada", { now: START });
  state.known = false;
  await refused(() => verifier.verifyAccessToken(early), "TOKEN_INVALID");
  state.known = true;
  await verifier.verifyAccessToken(early);
});

test("a token that is not yet valid is refused", async () => {
  const { tokens, verifier, refused } = await setUp();
  const nbf = START / 1000 + 3_600;
  const token = await tokens.accessToken("ada", { now: START, claims: { nbf } });
  await refused(() => verifier.verifyAccessToken(token), "TOKEN_INVALID");
});
