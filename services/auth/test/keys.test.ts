import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ALGORITHMS, ISSUER, SERVICE_TOKEN_FORMAT } from "@switchboard/contract/token";
import { refused } from "@switchboard/testkit/refused";
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import { type AuthUnderTest, type Instance, SECRETS, startAuth } from "./auth-under-test.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

describe("signing keys", () => {
  let auth: AuthUnderTest;
  let other: Instance;
  before(async () => {
    auth = await startAuth();
    other = await auth.another();
  });
  after(() => auth[Symbol.asyncDispose]());

  const jwks = async (instance: Instance = auth) => (await instance.inside(undefined).getJwks({})).keys;
  const kids = async (instance?: Instance) => (await jwks(instance)).map(({ kid }) => kid);
  const issue = async (instance: Instance) => {
    const { serviceToken } = await instance
      .inside(undefined)
      .issueServiceToken({ service: "identity", secret: SECRETS.identity });
    return serviceToken;
  };
  const signer = async (instance: Instance) => decodeProtectedHeader(await issue(instance)).kid;

  test("are public, and verify what is issued, on every instance alike", async () => {
    const [key, ...more] = await jwks();
    assert.equal(more.length, 0);
    assert.deepEqual(await kids(other), [key?.kid]);
    const token = await issue(other);
    const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: await jwks() } as JSONWebKeySet), {
      algorithms: [...ALGORITHMS],
      issuer: ISSUER,
      audience: SERVICE_TOKEN_FORMAT.audience,
      typ: SERVICE_TOKEN_FORMAT.typ,
      currentDate: new Date(auth.clock.now()),
    });
    assert.equal(payload.sub, "service:identity");
    assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 3600);
  });

  test("may be kept for a while by whoever asks, and never for as long as a key is published before it signs", async () => {
    let cacheControl = "";
    await auth.as().getJwks({}, { onHeader: (headers) => (cacheControl = headers.get("cache-control") ?? "") });
    const [, seconds] = /^public, max-age=(\d+)$/.exec(cacheControl) ?? [];
    assert.ok(Number(seconds) > 0 && Number(seconds) * 1000 < 60 * MINUTE_MS, cacheControl);
  });

  test("change with overlap, on all instances at the same moment", async () => {
    const [first] = await kids();
    const rotate = () => Promise.all([auth.runJob("rotate-signing-keys"), other.runJob("rotate-signing-keys")]);
    auth.clock.advance(30 * DAY_MS - 62 * MINUTE_MS);
    await rotate();
    assert.deepEqual(await kids(), [first]);
    auth.clock.advance(MINUTE_MS);
    await rotate();
    const published = await kids();
    assert.equal(published.length, 2, "two instances make one new key");
    const second = published.find((kid) => kid !== first);
    auth.clock.advance(59 * MINUTE_MS);
    assert.deepEqual([await signer(auth), await signer(other)], [first, first]);
    auth.clock.advance(MINUTE_MS);
    assert.deepEqual([await signer(auth), await signer(other)], [second, second]);
    auth.clock.advance(60 * MINUTE_MS);
    await rotate();
    assert.ok((await kids()).includes(first ?? ""), "its last service token has not expired yet");
    auth.clock.advance(4 * MINUTE_MS);
    await rotate();
    assert.deepEqual(await kids(), [second]);
    assert.deepEqual(await kids(other), [second]);
  });

  test("are sealed at rest", async () => {
    const rows = await auth.sql<{ sealed: Uint8Array }[]>`select sealed_private_key as sealed from auth.signing_key`;
    for (const { sealed } of rows) {
      assert.ok(!Buffer.from(sealed).includes(Buffer.from([0x06, 0x03, 0x2b, 0x65, 0x70])), "PKCS #8 in the clear");
    }
  });

  test("sealed with another secret are a problem, not a crash", async () => {
    await auth.sql`update auth.signing_key set kid = 'another', sealed_private_key = ${Buffer.alloc(80)}`;
    const late = await auth.another();
    await refused("AUTH_UNAVAILABLE", late.inside(undefined).getJwks({}));
    assert.match(late.problems().join(), /SWITCHBOARD_AUTH_KEY_ENCRYPTION_SECRET/);
    auth.clock.advance(2 * MINUTE_MS);
    // Those that were read before go on.
    await issue(auth);
  });
});

describe("service tokens", () => {
  let auth: AuthUnderTest;
  before(async () => {
    auth = await startAuth();
  });
  after(() => auth[Symbol.asyncDispose]());

  test("are for services with the right secret, and for nobody outside", async () => {
    const bare = auth.inside(undefined);
    for (const wrong of [
      { service: "identity", secret: SECRETS.gateway },
      { service: "identity", secret: "" },
      { service: "nobody", secret: SECRETS.identity },
      { service: "auth", secret: "\0" },
    ]) {
      await refused("WRONG_CREDENTIALS", bare.issueServiceToken(wrong));
    }
    const outside = auth.as().issueServiceToken({ service: "identity", secret: SECRETS.identity });
    await refused("UNKNOWN_METHOD", outside);
  });

  test("are refused after too many wrong secrets, but not to who has the right one", async () => {
    const wrong = () => auth.inside(undefined).issueServiceToken({ service: "identity", secret: "guess" });
    const outcomes = await Promise.allSettled(Array.from({ length: 70 }, wrong));
    assert.ok(outcomes.every(({ status }) => status === "rejected"));
    await refused("RATE_LIMITED", wrong());
    await auth.inside(undefined).issueServiceToken({ service: "identity", secret: SECRETS.identity });
  });
});
