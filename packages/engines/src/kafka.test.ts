import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { engineHome, skipWithout } from "./engine-home.ts";
import { startKafka } from "./kafka.ts";
import { findKafka } from "./kafka-program.ts";
import { isRunning, stopProcess } from "./stop-process.ts";

const home = engineHome(process.env);
const installed = (await findKafka(home)) !== undefined;

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "switchboard-engines-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** One request of Kafka's protocol without a client's name, and its answer as it came. */
async function ask(port: number, apiKey: number, version: number, body: string): Promise<string> {
  const header = Buffer.alloc(14);
  header.writeInt32BE(10 + body.length / 2, 0);
  header.writeInt16BE(apiKey, 4);
  header.writeInt16BE(version, 6);
  header.writeInt16BE(-1, 12);
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write(Buffer.concat([header, Buffer.from(body, "hex")]));
    const [answer] = await once(socket, "data");
    return (answer as Buffer).toString("latin1");
  } finally {
    socket.destroy();
  }
}

const KEPT = `0004${Buffer.from("kept").toString("hex")}`;

/** CreateTopics: 3 partitions, each once, no more said of them; within 10 s, in earnest. */
const createKept = (port: number) => ask(port, 19, 2, `00000001${KEPT}00000003000100000000000000000000271000`);
/** Metadata of every topic. */
const metadata = (port: number) => ask(port, 3, 1, "ffffffff");

describe("Kafka", { skip: skipWithout("Kafka", installed, process.env) }, () => {
  test("keeps its data over a stop and a crash, and leaves no process", async () => {
    await using folder = await temporaryFolder();
    const dataDir = join(folder.path, "kafka");
    const first = await startKafka({ home, dataDir });
    await createKept(first.port);
    assert.match(await metadata(first.port), /kept/);
    await first.stop();
    assert.equal(await isRunning(first.pid), false);

    const second = await startKafka({ home, dataDir });
    await second.kill();
    assert.equal(await isRunning(second.pid), false);

    await using third = await startKafka({ home, dataDir, port: second.port });
    assert.equal(third.brokers, `127.0.0.1:${second.port}`);
    assert.match(await metadata(third.port), /kept/);
  });

  test("takes back a broker whose parent was killed", async () => {
    await using folder = await temporaryFolder();
    const dataDir = join(folder.path, "kafka");
    const script = `
      import { startKafka } from ${JSON.stringify(import.meta.resolve("./kafka.ts"))};
      const server = await startKafka(${JSON.stringify({ home, dataDir })});
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
    assert.equal(await isRunning(orphan, "kafka.Kafka"), true);

    await using server = await startKafka({ home, dataDir });
    assert.equal(await isRunning(orphan, "kafka.Kafka"), false);
    assert.notEqual(server.pid, orphan);
  });

  test("without a folder it leaves nothing, and it says so when it dies unasked", async () => {
    const before = new Set(await readdir(tmpdir()));
    const server = await startKafka({ home });
    const folder = (await readdir(tmpdir())).find((name) => name.startsWith("switchboard-kafka-") && !before.has(name));
    assert.ok(folder);
    await stopProcess(server.pid, "SIGKILL");
    assert.match(await server.died, /Kafka ended/);
    await server.stop();
    assert.equal(existsSync(join(tmpdir(), folder)), false);
  });

  test("says where its log is when it does not start", async () => {
    await using folder = await temporaryFolder();
    const starting = startKafka({ home, dataDir: folder.path, settings: { "num.io.threads": "none" } });
    await assert.rejects(starting, /cannot be made|its log is .*kafka\.log/);
  });
});

test("says that it is not installed", async () => {
  await assert.rejects(startKafka({ home: "/nowhere" }), /Kafka is not installed in \/nowhere/);
});

test("an installation says what the machine lacks, and leaves nothing behind", async () => {
  await using folder = await temporaryFolder();
  const bin = join(folder.path, "bin");
  await mkdir(bin);
  await symlink("/bin/sh", join(bin, "sh"));
  await writeFile(join(bin, "java"), `#!/bin/sh\necho 'openjdk version "11.0.2" 2019-01-15' >&2\n`, { mode: 0o755 });
  const into = join(folder.path, "engines");
  const script = `
    import { installKafka } from ${JSON.stringify(import.meta.resolve("./kafka-program.ts"))};
    await installKafka(${JSON.stringify(into)}).catch((error) => console.log(error.message));`;
  const env = { PATH: [bin].join(delimiter) };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { env });
  assert.equal(stdout.trim(), "Kafka needs Java 17 or later (there is 11) and Maven (mvn on PATH)");
  assert.equal(existsSync(into), false);
});
