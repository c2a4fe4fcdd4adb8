import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { findRedis } from "@switchboard/engines/redis-program";
import { eventually } from "@switchboard/testkit/eventually";
import { Redis } from "ioredis";
import { pino } from "pino";
import { openRedisState } from "../redis.ts";
import { openRedisEngine, type RedisEngine } from "../redis-engine.fake.ts";
import { provisionRedis } from "./provision.ts";

const home = engineHome(process.env);
const skip = skipWithout("Redis", (await findRedis(home)) !== undefined, process.env);
const log = pino({ level: "silent" });
const MINUTE_MS = 60_000;

/** A client of nobody's, with the user of a service. */
function loggedIn(engine: RedisEngine, service: string) {
  const client = new Redis(engine.url(service), { disableClientInfo: true, retryStrategy: () => null });
  client.on("error", () => {});
  return Object.assign(client, { [Symbol.dispose]: () => client.disconnect() });
}

describe("provisioning Redis", { skip }, () => {
  test("a service's user reaches the keys of that service, by no way any other, and no command of an operator", async () => {
    await using engine = await openRedisEngine({ home });
    await using auth = openRedisState({ url: engine.url("auth"), service: "auth", log });
    await auth.set("k", Buffer.from("v"), MINUTE_MS);
    using identity = loggedIn(engine, "identity");
    assert.equal(await identity.set("switchboard:identity:own", "v"), "OK");
    const foreign = "switchboard:auth:value:k";
    for (const attempt of [
      () => identity.get(foreign),
      () => identity.set(foreign, "w"),
      () => identity.del(foreign),
      () => identity.get("switchboard:identity"),
      () => identity.eval("return redis.call('GET', KEYS[1])", 1, foreign),
      () => identity.eval("return redis.call('GET', 'switchboard:auth:value:k')", 0),
      () => identity.eval("return redis.call('KEYS', '*')", 0),
      () => identity.keys("*"),
      () => identity.scan(0),
      () => identity.flushall(),
      () => identity.config("GET", "*"),
      () => identity.acl("LIST"),
      () => identity.publish("c", "m"),
      () => identity.client("LIST"),
    ]) {
      await assert.rejects(attempt(), /permission|The user executing the script can't/, String(attempt));
    }
    assert.equal(String(await auth.get("k")), "v");
  });

  test("a process with the keys of another service gets nothing, and says why", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = openRedisState({ url: engine.url("identity"), service: "auth", log });
    assert.equal(await state.get("k"), undefined);
    assert.match(
      state.problem() ?? "",
      /refuses what the user of this process must be allowed to do: provision it anew/,
    );
    await assert.rejects(state.take("k", { requests: 1, windowMs: 1, burst: 1 }), { reason: "SERVICE_UNAVAILABLE" });
  });

  test("before it, a process says that Redis does not know its user, and works as soon as it does", async () => {
    await using engine = await openRedisEngine({ home, provisioned: false });
    await using state = openRedisState({ url: engine.url("identity"), service: "identity", log });
    assert.equal(await state.get("k"), undefined);
    assert.match(state.problem() ?? "", /does not know the user of this process: provision it/);
    await engine.provision();
    await eventually(() => assert.equal(state.problem(), undefined));
    await state.set("k", Buffer.from("v"), MINUTE_MS);
    assert.equal(String(await state.get("k")), "v");
  });

  test("a user that may not do all of it any more is told to be provisioned anew", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = openRedisState({ url: engine.url("identity"), service: "identity", log });
    await engine.admin.acl("SETUSER", "identity", "-exists");
    assert.equal(await state.lock("k", MINUTE_MS), undefined);
    assert.match(state.problem() ?? "", /provision it anew/);
    await engine.provision();
    await using lock = await state.lock("k", MINUTE_MS);
    assert.ok(lock);
  });

  test("repeating it, many at once too, changes the password and lets who is connected go on", async () => {
    await using engine = await openRedisEngine({ home });
    await using state = openRedisState({ url: engine.url("identity"), service: "identity", log });
    await state.set("k", Buffer.from("v"), MINUTE_MS);
    const services = [{ name: "identity", password: "another % : @ / secret" }];
    await Promise.all(Array.from({ length: 5 }, () => provisionRedis({ url: engine.server.url, services })));
    assert.equal(String(await state.get("k")), "v");

    const url = new URL(engine.server.url);
    url.username = "identity";
    url.password = encodeURIComponent("another % : @ / secret");
    await using fresh = openRedisState({ url: url.href, service: "identity", log });
    assert.equal(String(await fresh.get("k")), "v");
    await using old = openRedisState({ url: engine.url("identity"), service: "identity", log });
    assert.equal(await old.get("k"), undefined);
  });

  test("an operator's user is not taken over, and no name reaches more than its own keys", async () => {
    await using engine = await openRedisEngine({ home });
    await engine.admin.acl("SETUSER", "boss", "on", ">secret", "~*", "+@all");
    const url = engine.server.url.replace("//", "//boss:secret@");
    for (const name of ["default", "boss", "a*", "a b", "", "a:b", "Auth"]) {
      await assert.rejects(provisionRedis({ url, services: [{ name, password: "p" }] }), RangeError, name);
    }
    await assert.rejects(provisionRedis({ url, services: [{ name: "auth", password: "" }] }), /auth needs a password/);
    await provisionRedis({ url, services: [] });
  });

  test("users are there again after a restart", async () => {
    await using engine = await openRedisEngine({ home });
    await engine.kill();
    await engine.start();
    await using state = openRedisState({ url: engine.url("identity"), service: "identity", log });
    await state.set("k", Buffer.from("v"), MINUTE_MS);
    assert.equal(String(await state.get("k")), "v");
  });

  test("who may not, or cannot be reached, is told without a secret", async () => {
    await using engine = await openRedisEngine({ home });
    const services = [{ name: "auth", password: "a-new-secret" }];
    const told = async (url: string) => {
      const error = await provisionRedis({ url, services }).then(
        () => assert.fail("it was allowed"),
        (failure) => failure,
      );
      assert.doesNotMatch(JSON.stringify({ ...error, message: error.message, stack: error.stack }), /secret/);
      return error.message;
    };
    assert.match(await told(engine.url("identity")), /NOPERM/);
    assert.match(await told(engine.server.url.replace("//", "//admin:a-secret@")), /WRONGPASS/);
    await engine.stop();
    assert.match(await told(engine.server.url), /ECONNREFUSED/);
    await engine.start();
  });
});
