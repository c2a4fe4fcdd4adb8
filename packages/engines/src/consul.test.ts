import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type ConsulServer, startConsul } from "./consul.ts";
import { findConsul } from "./consul-program.ts";
import { engineHome, skipWithout } from "./engine-home.ts";
import { isRunning, stopProcess } from "./stop-process.ts";

const home = engineHome(process.env);

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "switchboard-engines-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function kv(server: ConsulServer, method: "GET" | "PUT", token = ""): Promise<string> {
  const response = await fetch(`${server.url}/v1/kv/kept?raw`, {
    method,
    headers: { "x-consul-token": token },
    ...(method === "PUT" && { body: "42" }),
  });
  return `${response.status} ${await response.text()}`.trim();
}

describe("Consul", { skip: skipWithout("Consul", (await findConsul(home)) !== undefined, process.env) }, () => {
  test("takes writes from its first moment, and keeps them over a stop and a crash", async () => {
    await using folder = await temporaryFolder();
    const dataDir = join(folder.path, "consul");
    const first = await startConsul({ home, dataDir });
    assert.equal(await kv(first, "PUT"), "200 true");
    await first.stop();
    assert.equal(await isRunning(first.pid), false);

    const second = await startConsul({ home, dataDir, port: first.port });
    assert.equal(second.url, `http://127.0.0.1:${first.port}`);
    assert.equal(await kv(second, "GET"), "200 42");
    await second.kill();
    assert.equal(await isRunning(second.pid), false);

    await using third = await startConsul({ home, dataDir });
    assert.equal(await kv(third, "GET"), "200 42");
  });

  test("in memory it forgets, and leaves no file", async () => {
    await using folder = await temporaryFolder();
    const usual = process.env.TMPDIR;
    process.env.TMPDIR = folder.path;
    try {
      const first = await startConsul({ home });
      assert.equal(await kv(first, "PUT"), "200 true");
      assert.equal((await readdir(folder.path)).length, 1);
      await first.stop();
      assert.deepEqual(await readdir(folder.path), []);
      await using second = await startConsul({ home, port: first.port });
      assert.equal(await kv(second, "GET"), "404");
    } finally {
      if (usual === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = usual;
    }
  });

  test("with access control nobody writes without the token", async () => {
    await using folder = await temporaryFolder();
    const managementToken = randomUUID();
    const options = { home, dataDir: join(folder.path, "consul"), acl: { managementToken } };
    const first = await startConsul(options);
    assert.match(await kv(first, "PUT"), /^403/);
    assert.equal(await kv(first, "PUT", managementToken), "200 true");
    await first.stop();
    await using second = await startConsul(options);
    assert.equal(await kv(second, "GET", managementToken), "200 42");
  });

  test("takes back an agent whose parent was killed", async () => {
    await using folder = await temporaryFolder();
    const dataDir = join(folder.path, "consul");
    const script = `
      import { startConsul } from ${JSON.stringify(import.meta.resolve("./consul.ts"))};
      const server = await startConsul(${JSON.stringify({ home, dataDir })});
      console.log(server.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(parent, "exit");
    const [line] = await Promise.race([once(parent.stdout, "data"), exited]);
    const orphan = Number(String(line));
    parent.kill("SIGKILL");
    await exited;
    assert.equal(await isRunning(orphan, "consul"), true);

    await using server = await startConsul({ home, dataDir });
    assert.equal(await isRunning(orphan, "consul"), false);
    assert.notEqual(server.pid, orphan);
  });

  test("says so when it dies unasked", async () => {
    await using server = await startConsul({ home });
    await stopProcess(server.pid, "SIGKILL");
    assert.match(await server.died, /Consul ended/);
  });
});

test("says that it is not installed", { skip: (await findConsul("/nowhere")) !== undefined }, async () => {
  await assert.rejects(startConsul({ home: "/nowhere" }), /neither installed in \/nowhere nor is consul on PATH/);
});
