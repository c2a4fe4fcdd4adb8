import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, beforeEach, describe, test } from "node:test";
import { DataDir } from "./data-dir.ts";

let folder = "";
const folders: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "switchboard-data-"));
  folders.push(folder);
});
after(() => Promise.all(folders.map((each) => rm(each, { recursive: true }))));

interface Contender {
  readonly process: ChildProcess;
  /** Tells it to, and resolves with what came of it: "done", or why not. */
  tell(what: "take" | "release"): Promise<string>;
}

async function contender(): Promise<Contender> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "take-folder.fake.ts"), join(folder, "data")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, "here");
  return {
    process: child,
    async tell(what) {
      child.stdin.write(`${what}\n`);
      return String((await lines.next()).value);
    },
  };
}

async function kill({ process: child }: Contender): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

describe("a data folder", () => {
  test("lets one supervisor in of all that come at once, when it is new and when the last one was killed", async () => {
    const contenders = await Promise.all(Array.from({ length: 8 }, contender));
    try {
      while (contenders.length > 0) {
        const outcomes = await Promise.all(contenders.map((each) => each.tell("take")));
        assert.equal(outcomes.filter((outcome) => outcome === "done").length, 1, outcomes.join("\n"));
        const [winner] = contenders.splice(outcomes.indexOf("done"), 1);
        const { pid } = winner?.process ?? {};
        for (const outcome of outcomes.filter((each) => each !== "done")) {
          assert.match(
            outcome,
            new RegExp(`^a platform runs on .* already \\(process ${pid}\\): stop it, or set SWITCH`),
          );
        }
        if (winner) await kill(winner);
      }
    } finally {
      await Promise.all(contenders.map(kill));
    }
    const locks = (await readdir(join(folder, "data"))).filter((name) => name.startsWith("supervisor.lock"));
    assert.equal(locks.length, 1, locks.join());
  });

  test("lets the next one in as soon as it is released", async () => {
    const [first, second] = [await contender(), await contender()];
    try {
      assert.equal(await first.tell("take"), "done");
      assert.match(await second.tell("take"), /already/);
      assert.equal(await first.tell("release"), "done");
      assert.equal(await second.tell("take"), "done");
      assert.match(await first.tell("take"), /already/);
    } finally {
      await Promise.all([first, second].map(kill));
    }
  });

  test("tells a second instance what it needs, and no administrator's password", async () => {
    const dataDir = new DataDir(folder);
    const environment = { SWITCHBOARD_SERVICE_SECRET: "auth's own", SWITCHBOARD_PORT: "0" };
    const administrator = {
      SWITCHBOARD_ADMIN_EMAIL: "a@example.com",
      SWITCHBOARD_ADMIN_PASSWORD: "chosen by a person",
    };
    await dataDir.setRunning({
      supervisorPid: process.pid,
      processes: { auth: 1 },
      environments: { auth: { ...environment, ...administrator } },
    });
    const file = join(folder, "running.json");
    assert.doesNotMatch(await readFile(file, "utf8"), /chosen by a person/);
    assert.equal((await stat(file)).mode & 0o077, 0);
    assert.deepEqual((await dataDir.running())?.environments, { auth: environment });
  });
});
