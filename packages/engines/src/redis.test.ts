import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { engineHome, skipWithout } from "./engine-home.ts";
import { startRedis } from "./redis.ts";
import { findRedis } from "./redis-program.ts";
import { isRunning, stopProcess } from "./stop-process.ts";

const home = engineHome(process.env);

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "switchboard-engines-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** One inline command of RESP, and its answer. */
async function command(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write(`${text}\r\n`);
    const [answer] = await once(socket, "data");
    return String(answer).trimEnd();
  } finally {
    socket.destroy();
  }
}

describe("Redis", { skip: skipWithout("Redis", (await findRedis(home)) !== undefined, process.env) }, () => {
  test("keeps its data over a stop and a crash, and leaves no process", async () => {
    await using folder = await temporaryFolder();
    const dataDir = join(folder.path, "redis");
    // "always": what was answered is on disk, so that a crash loses nothing.
    const args = ["--appendfsync", "always"];
    const first = await startRedis({ home, dataDir, args });
    assert.equal(await command(first.port, "SET kept 42"), "+OK");
    await first.stop();
    assert.equal(await isRunning(first.pid), false);

    const second = await startRedis({ home, dataDir, args, port: first.port });
    assert.equal(second.url, `redis://127.0.0.1:${first.port}`);
    assert.equal(await command(second.port, "INCR kept"), ":43");
    await second.kill();
    assert.equal(await isRunning(second.pid), false);

    await using third = await startRedis({ home, dataDir, args });
    assert.equal(await command(third.port, "GET kept"), "$2\r\n43");
  });

  test("in memory it forgets, and leaves no file", async () => {
    const first = await startRedis({ home });
    assert.equal(await command(first.port, "SET kept 42"), "+OK");
    const folder = (await command(first.port, "CONFIG GET dir")).split("\r\n").at(-1) ?? "";
    assert.equal(existsSync(folder), true);
    await first.stop();
    assert.equal(existsSync(folder), false);

    await using second = await startRedis({ home, port: first.port });
    assert.equal(await command(second.port, "EXISTS kept"), ":0");
  });

  test("takes back a server whose parent was killed", async () => {
    await using folder = await temporaryFolder();
    const dataDir = join(folder.path, "redis");
    const script = `
      import { startRedis } from ${JSON.stringify(import.meta.resolve("./redis.ts"))};
      const server = await startRedis(${JSON.stringify({ home, dataDir })});
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
    assert.equal(await isRunning(orphan, "redis"), true);

    await using server = await startRedis({ home, dataDir });
    assert.equal(await isRunning(orphan, "redis"), false);
    assert.notEqual(server.pid, orphan);
  });

  test("says so when it dies unasked", async () => {
    await using server = await startRedis({ home });
    await stopProcess(server.pid, "SIGKILL");
    assert.match(await server.died, /Redis ended/);
  });

  test("says where its log is when it does not start", async () => {
    await using folder = await temporaryFolder();
    await assert.rejects(
      startRedis({ home, dataDir: folder.path, args: ["--no-such-setting", "1"] }),
      /its log is .*redis\.log/,
    );
  });
});

test("says that it is not installed", { skip: (await findRedis("/nowhere")) !== undefined }, async () => {
  await assert.rejects(startRedis({ home: "/nowhere" }), /neither installed in \/nowhere nor is redis-server on PATH/);
});
