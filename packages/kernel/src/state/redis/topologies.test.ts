import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { startProcess } from "@switchboard/engines/engine-process";
import { freePort } from "@switchboard/engines/free-port";
import { startRedis } from "@switchboard/engines/redis";
import { findRedis } from "@switchboard/engines/redis-program";
import { eventually } from "@switchboard/testkit/eventually";
import { Redis } from "ioredis";
import { pino } from "pino";
import { cert, key } from "../../rpc/certificate.fake.ts";
import { openRedisState } from "../redis.ts";
import { provisionRedis } from "./provision.ts";

const home = engineHome(process.env);
const skip = skipWithout("Redis", (await findRedis(home)) !== undefined, process.env);
const log = pino({ level: "silent" });
const MINUTE_MS = 60_000;
const services = [{ name: "identity", password: "secret" }];
const ONCE = { requests: 1, windowMs: MINUTE_MS, burst: 1 };

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "switchboard-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A server whose service may log in. */
async function startProvisioned(args: readonly string[]) {
  const server = await startRedis({ home, args });
  await provisionRedis({ url: server.url, services });
  return server;
}

async function command(port: number, ...words: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(port, "127.0.0.1", { disableClientInfo: true, retryStrategy: () => null });
  client.on("error", () => {});
  try {
    return await client.call(...words);
  } finally {
    client.disconnect();
  }
}

test("with TLS, where the authority is known; nowhere else", { skip }, async () => {
  await using folder = await temporaryFolder();
  const [certFile, keyFile] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  const tlsPort = await freePort();
  await using _server = await startRedis({
    home,
    args: [
      ...["--tls-port", String(tlsPort), "--tls-auth-clients", "no"],
      ...["--tls-cert-file", certFile, "--tls-key-file", keyFile],
    ],
  });
  const tls = { ca: cert };
  await provisionRedis({ url: `rediss://127.0.0.1:${tlsPort}`, tls, services });
  const url = `rediss://identity:secret@127.0.0.1:${tlsPort}`;
  await using state = openRedisState({ url, tls, service: "identity", log });
  await state.set("k", Buffer.from("v"), MINUTE_MS);
  assert.equal(String(await state.get("k")), "v");
  await using stranger = openRedisState({ url, service: "identity", log });
  assert.equal(await stranger.get("k"), undefined);
  assert.match(stranger.problem() ?? "", /cannot be reached/);
  await assert.rejects(provisionRedis({ url: `rediss://127.0.0.1:${tlsPort}`, services }), /certificate/);
});

describe("Sentinel", { skip }, () => {
  test("the master dies: the one that takes its place is used, and fences go on", async () => {
    await using folder = await temporaryFolder();
    const sync = ["--repl-diskless-sync-delay", "0"];
    const master = await startProvisioned(sync);
    await using _master = master;
    await using replica = await startProvisioned([...sync, "--replicaof", "127.0.0.1", String(master.port)]);
    await eventually(async () => assert.match(String(await command(replica.port, "INFO")), /master_link_status:up/));
    const sentinelPort = await freePort();
    const config = join(folder.path, "sentinel.conf");
    await writeFile(
      config,
      `port ${sentinelPort}
bind 127.0.0.1
dir ${folder.path}
sentinel monitor house 127.0.0.1 ${master.port} 1
sentinel down-after-milliseconds house 500
sentinel failover-timeout house 5000
`,
    );
    const program = await findRedis(home);
    assert.ok(program);
    const sentinel = await startProcess({
      name: "Sentinel",
      program,
      args: [config, "--sentinel"],
      logFile: join(folder.path, "sentinel.log"),
      pidFile: join(folder.path, "sentinel.pid"),
    });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => sentinel.stop());
    await eventually(async () =>
      assert.match(String(await command(sentinelPort, "INFO")), /status=ok,address=[^,]*,slaves=1/),
    );

    await using state = openRedisState({
      url: "redis://identity:secret@house",
      sentinels: [`redis://127.0.0.1:${sentinelPort}`],
      service: "identity",
      log,
    });
    await state.set("k", Buffer.from("v"), MINUTE_MS);
    assert.equal((await state.take("k", ONCE)).allowed, true);
    const before = await state.lock("k", 1_000);
    assert.ok(before);
    await eventually(async () => assert.equal(String(await command(replica.port, "DBSIZE")), "4"));

    await master.kill();
    await eventually(async () => assert.equal((await state.take("other", ONCE)).allowed, true), { withinMs: 20_000 });
    assert.match(String(await command(replica.port, "INFO")), /role:master/);
    assert.equal(String(await state.get("k")), "v");
    assert.equal((await state.take("k", ONCE)).allowed, false);
    await before[Symbol.asyncDispose]();
    await using next = await eventually(async () => {
      const lock = await state.lock("k", 1_000);
      assert.ok(lock);
      return lock;
    });
    assert.ok(next.fence > before.fence);
    assert.equal(state.problem(), undefined);
  });

  test("without a sentinel a call waits a second and no more, and an end is not held up", async () => {
    const state = openRedisState({
      url: "redis://identity:secret@house",
      sentinels: [`redis://127.0.0.1:${await freePort()}`],
      service: "identity",
      log,
    });
    const begin = performance.now();
    await assert.rejects(state.take("k", ONCE), { reason: "SERVICE_UNAVAILABLE" });
    assert.equal(await state.get("k"), undefined);
    assert.match(state.problem() ?? "", /cannot be reached/);
    await state[Symbol.asyncDispose]();
    assert.ok(performance.now() - begin < 2_000, `${performance.now() - begin} ms`);
  });
});

describe("a cluster", { skip }, () => {
  test("every key is in one slot, a node that dies takes only its own, and is used again when it is back", async () => {
    await using stack = new AsyncDisposableStack();
    const start = async (port: number, busPort: number, dataDir: string) => {
      const args = ["--cluster-enabled", "yes", "--cluster-port", String(busPort), "--cluster-node-timeout", "1000"];
      args.push("--cluster-require-full-coverage", "no", "--aclfile", join(dataDir, "users.acl"));
      return startRedis({ home, port, dataDir, args });
    };
    const nodes = await Promise.all(
      [0, 1, 2].map(async () => {
        const folder = stack.use(await temporaryFolder());
        await writeFile(join(folder.path, "users.acl"), "user default on nopass ~* &* +@all\n");
        const [port, busPort] = [await freePort(), await freePort()];
        const node = { port, busPort, server: await start(port, busPort, folder.path), folder: folder.path };
        stack.defer(() => node.server.stop());
        await provisionRedis({ url: node.server.url, services });
        return node;
      }),
    );
    const [first, second, third] = nodes;
    assert.ok(first && second && third);
    await command(first.port, "CLUSTER", "ADDSLOTSRANGE", "0", "5460");
    await command(second.port, "CLUSTER", "ADDSLOTSRANGE", "5461", "10922");
    await command(third.port, "CLUSTER", "ADDSLOTSRANGE", "10923", "16383");
    for (const { port, busPort } of [second, third]) {
      await command(first.port, "CLUSTER", "MEET", "127.0.0.1", String(port), String(busPort));
    }
    const settled = () =>
      eventually(
        async () => {
          for (const { port } of nodes) {
            const info = String(await command(port, "CLUSTER", "INFO"));
            assert.match(info, /cluster_state:ok[\s\S]*cluster_slots_ok:16384[\s\S]*cluster_known_nodes:3/);
          }
        },
        { withinMs: 20_000 },
      );
    await settled();

    const url = `redis://identity:secret@127.0.0.1:${first.port}`;
    await using state = openRedisState({ url, cluster: true, service: "identity", log });
    const keys = Array.from({ length: 50 }, (_, n) => `key ${n} }{`);
    const use = async (keyOfUse: string, value: string) => {
      await state.set(keyOfUse, Buffer.from(value), MINUTE_MS);
      const got = await state.get(keyOfUse);
      assert.equal(got && String(got), value);
      assert.equal((await state.take(`${keyOfUse} ${value}`, ONCE)).allowed, true);
      assert.equal((await state.take(`${keyOfUse} ${value}`, ONCE)).allowed, false);
      await using lock = await state.lock(keyOfUse, MINUTE_MS);
      assert.ok(lock);
      assert.equal(await state.lock(keyOfUse, MINUTE_MS), undefined);
    };
    await Promise.all(keys.map((keyOfUse) => use(keyOfUse, "a")));
    for (const { port } of nodes) assert.ok(Number(await command(port, "DBSIZE")) > 10);

    await second.server.kill();
    const outcomes = await Promise.all(
      keys.map(async (keyOfUse) => {
        const begin = performance.now();
        const got = await state.get(keyOfUse);
        assert.ok(performance.now() - begin < 2_000);
        return got && String(got);
      }),
    );
    const kept = outcomes.filter((value) => value === "a").length;
    assert.equal(outcomes.filter((value) => value === undefined).length, keys.length - kept);
    assert.ok(kept > 20 && kept < 45, `${kept} of ${keys.length}`);
    assert.match(state.problem() ?? "", /state \(Redis\)/);

    second.server = await start(second.port, second.busPort, second.folder);
    await settled();
    for (const keyOfUse of keys) await eventually(() => use(keyOfUse, `b${performance.now()}`));
    await eventually(() => assert.equal(state.problem(), undefined));
  });
});
