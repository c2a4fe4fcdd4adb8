import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { newId } from "@switchboard/contract/ids";
import {
  ApiKeyCreatedSchema,
  ApiKeyRevokedSchema,
  SessionRevokedSchema,
} from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuthUnderTest, newPerson, startAuth } from "./auth-under-test.ts";

let auth: AuthUnderTest;
before(async () => {
  auth = await startAuth({ SWITCHBOARD_AUTH_SIGN_INS_PER_ADDRESS: "100000" });
});
after(() => auth[Symbol.asyncDispose]());

const exchange = (secret: string) => auth.inside("gateway").exchangeApiKey({ secret });

describe("an API key", () => {
  test("acts as its owner, is listed without its secret, and ends when it is revoked", async () => {
    const { self, userId } = await newPerson(auth);
    const { apiKey, secret } = await self.createApiKey({ displayName: "deploy" });
    assert.match(secret, /^sbk_[\w-]{49}$/);
    const { accessToken } = await exchange(secret);
    const asKey = auth.as({ accessToken });
    const { apiKeys } = await asKey.listApiKeys({});
    assert.deepEqual(
      apiKeys.map((key) => [key.apiKeyId, key.displayName, key.secretPrefix, key.expireTime]),
      [[apiKey?.apiKeyId, "deploy", secret.slice(0, 12), undefined]],
    );
    await asKey.revokeApiKey({ apiKeyId: apiKey?.apiKeyId ?? "" });
    await refused("API_KEY_INVALID", exchange(secret));
    assert.equal((await self.listApiKeys({})).apiKeys.length, 0);
    const [revoked] = await auth.facts(SessionRevokedSchema, userId);
    assert.equal(revoked?.credentialId, apiKey?.apiKeyId);
    assert.equal((await auth.facts(ApiKeyCreatedSchema, userId)).length, 1);
    assert.equal((await auth.facts(ApiKeyRevokedSchema, userId)).length, 1);
  });

  test("ends at its expire_time, and so do the tokens made of it", async () => {
    const { self } = await newPerson(auth);
    const expireTime = timestampFromMs(auth.clock.now() + 60_000);
    const { secret } = await self.createApiKey({ displayName: "short", expireTime });
    const token = await exchange(secret);
    assert.ok(timestampMs(token.expireTime ?? assert.fail()) <= timestampMs(expireTime));
    auth.clock.advance(60_000);
    await refused("API_KEY_INVALID", exchange(secret));
    for (const bad of [auth.clock.now(), auth.clock.now() - 1]) {
      const call = self.createApiKey({ displayName: "late", expireTime: timestampFromMs(bad) });
      assert.deepEqual((await refused("INVALID_FIELD", call)).fields, ["expire_time"]);
    }
  });

  test("remembers its last use to the minute", async () => {
    const { self } = await newPerson(auth);
    const { secret } = await self.createApiKey({ displayName: "used" });
    const lastUse = async () => (await self.listApiKeys({})).apiKeys[0]?.lastUseTime;
    assert.equal(await lastUse(), undefined);
    await exchange(secret);
    const used = timestampMs((await lastUse()) ?? assert.fail());
    assert.equal(used, auth.clock.now() - (auth.clock.now() % 60_000));
    auth.clock.advance(60_000);
    await exchange(secret);
    assert.equal(timestampMs((await lastUse()) ?? assert.fail()), used + 60_000);
  });

  test("is made once by a repeated request, whose answer has no secret", async () => {
    const { self } = await newPerson(auth);
    const request = { displayName: "once", requestId: newId() };
    const first = await self.createApiKey(request);
    const second = await self.createApiKey(request);
    assert.deepEqual(second.apiKey, first.apiKey);
    assert.equal(second.secret, "");
    assert.equal((await self.listApiKeys({})).apiKeys.length, 1);
  });

  test("makes no others, and nobody has more than 50", async () => {
    const { self } = await newPerson(auth);
    const { secret } = await self.createApiKey({ displayName: "first" });
    const { accessToken } = await exchange(secret);
    await refused("PERMISSION_DENIED", auth.as({ accessToken }).createApiKey({ displayName: "second" }));
    const many = Array.from({ length: 55 }, () => self.createApiKey({ displayName: "one of many" }));
    const outcomes = await Promise.allSettled(many);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 49);
    await refused("WRONG_STATE", self.createApiKey({ displayName: "one too many" }));
  });

  test("of somebody else cannot be revoked, and what is no key is refused", async () => {
    const [owner, stranger] = [await newPerson(auth), await newPerson(auth)];
    const { apiKey, secret } = await owner.self.createApiKey({ displayName: "mine" });
    await refused("NOT_FOUND", stranger.self.revokeApiKey({ apiKeyId: apiKey?.apiKeyId ?? "" }));
    await refused("INVALID_FIELD", owner.self.createApiKey({ displayName: "" }));
    for (const bad of ["", "sbk_", secret.slice(0, -1), `${secret.slice(0, 20)}x${secret.slice(21)}`, "sbk_\0"]) {
      await refused("API_KEY_INVALID", exchange(bad));
    }
    await refused("UNKNOWN_METHOD", owner.self.exchangeApiKey({ secret }));
    await exchange(secret);
  });
});
