import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { engineHome, skipWithout } from "./engine-home.ts";
import { startKafka } from "./kafka.ts";
import { findKafka } from "./kafka-program.ts";
import { isRunning } from "./stop-process.ts";

const home = engineHome(process.env);

/** ApiVersions, version 0, as the Kafka protocol has it: the first thing that every client asks. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    // Size 10, API key 18, version 0, correlation id 7, no client id.
    socket.write(Buffer.from("0000000a0012000000000007ffff", "hex"));
    const [answer] = (await once(socket, "data")) as [Buffer];
    return answer.readInt32BE(4) === 7;
  } finally {
    socket.destroy();
  }
}

describe("Kafka", { skip: skipWithout("Kafka", (await findKafka(home)) !== undefined, process.env) }, () => {
  test("is the same cluster after a stop and a crash, and leaves no process", async () => {
    const folder = await mkdtemp(join(tmpdir(), "switchboard-engines-"));
    try {
      const dataDir = join(folder, "kafka");
      const cluster = async () =>
        /cluster\.id=(.+)/.exec(await readFile(join(dataDir, "data/meta.properties"), "utf8"))?.[1];
      const first = await startKafka({ home, dataDir });
      assert.ok(await answers(first.port));
      const id = await cluster();
      await first.stop();
      assert.equal(await isRunning(first.pid), false);
      const second = await startKafka({ home, dataDir, port: first.port });
      assert.equal(second.brokers, `127.0.0.1:${first.port}`);
      assert.equal(await cluster(), id);
      await second.kill();
      assert.equal(await isRunning(second.pid), false);
      await using third = await startKafka({ home, dataDir });
      assert.ok(await answers(third.port));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("without a folder of its own it leaves no file", async () => {
    const server = await startKafka({ home });
    const command = await readFile(`/proc/${server.pid}/cmdline`, "utf8").catch(() => "");
    const settings = command.split("\0").find((part) => part.endsWith("server.properties")) ?? "";
    await server.stop();
    assert.equal(existsSync(settings), false);
  });
});
