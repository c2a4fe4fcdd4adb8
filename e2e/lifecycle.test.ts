/** Starting and stopping: nothing is left behind, and nothing left behind is in the way. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { freePort } from "@switchboard/engines/free-port";
import { isRunning } from "@switchboard/engines/stop-process";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { ADMIN, startTestPlatform, type TestPlatform, temporaryFolder } from "@switchboard/testkit/platform";
import { clientOf, outcomeOf, signUp } from "./client.ts";

/** Every process of a platform: the services, the gateway and PostgreSQL. */
async function everyProcess(platform: TestPlatform): Promise<readonly number[]> {
  const pidFile = await readFile(join(platform.dataDir, "postgres/cluster/postmaster.pid"), "utf8");
  return [...Object.values(await platform.processes()), Number.parseInt(pidFile, 10)];
}

async function stillRunning(pids: readonly number[]): Promise<readonly number[]> {
  const running = await Promise.all(pids.map((pid) => isRunning(pid)));
  return pids.filter((_, index) => running[index]);
}

test("SIGTERM stops all; the next start has the data, and no second first administrator", async () => {
  const dataDir = await temporaryFolder();
  try {
    const first = await startTestPlatform({ dataDir });
    const ada = await signUp(first.url, "Ada");
    const pids = await everyProcess(first);
    assert.equal(pids.length, 6);
    assert.ok(!first.output.some((line) => line.includes(ADMIN.password)), "a chosen password is not shown");
    assert.equal(await first.stop(), 0);
    assert.deepEqual(await stillRunning(pids), []);

    await using second = await startTestPlatform({ dataDir });
    const signIn = clientOf(AuthService, second.url).signIn({ email: ada.email, password: ada.password });
    assert.equal(await outcomeOf(signIn), "ok");
    assert.ok(!second.output.some((line) => line.includes("first administrator")));
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

test("a supervisor that was killed leaves nothing in the way of the next start", async () => {
  const dataDir = await temporaryFolder();
  try {
    const first = await startTestPlatform({ dataDir });
    const pids = await everyProcess(first);
    first.supervisor.kill("SIGKILL");
    await once(first.supervisor, "exit");

    await using second = await startTestPlatform({ dataDir });
    assert.deepEqual(await stillRunning(pids), []);
    assert.equal(await outcomeOf(clientOf(AuthService, second.url).signIn(ADMIN)), "ok");
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

test("a second platform on the same folder is refused, one beside it runs", async () => {
  await using first = await startTestPlatform();
  await assert.rejects(startTestPlatform({ dataDir: first.dataDir }), /a platform runs on .* already/);
  await using beside = await startTestPlatform();
  const ada = await signUp(first.url, "Ada");
  const elsewhere = clientOf(AuthService, beside.url).signIn({ email: ada.email, password: ada.password });
  assert.equal(await outcomeOf(elsewhere), "unauthenticated WRONG_CREDENTIALS");
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} to npm alone stops all`, async () => {
    const dataDir = await temporaryFolder();
    const npm = spawn("npm", ["start"], {
      cwd: resolve(import.meta.dirname, ".."),
      env: { ...process.env, SWITCHBOARD_DATA_DIR: dataDir, SWITCHBOARD_PORT: String(await freePort()) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const lines: string[] = [];
      for await (const line of createInterface(npm.stdout)) {
        lines.push(line);
        if (line.startsWith("try:")) break;
      }
      assert.ok(lines.some((line) => /^the first administrator, shown this once: admin@\S+ \S{15,}$/.test(line)));
      const running = JSON.parse(await readFile(join(dataDir, "running.json"), "utf8"));
      const pids = [running.supervisorPid, ...Object.values<number>(running.processes)];
      npm.stdout.resume();
      npm.kill(signal);
      if (npm.exitCode === null && npm.signalCode === null) await once(npm, "exit");
      await eventually(async () => assert.deepEqual(await stillRunning(pids), []), { withinMs: 20_000 });
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
}

test("a taken port is said at once, with the mend", async () => {
  await using first = await startTestPlatform();
  const port = new URL(first.url).port;
  await assert.rejects(
    startTestPlatform({ environment: { SWITCHBOARD_PORT: port } }),
    /port \d+ is taken: stop what listens there, or set SWITCHBOARD_PORT/,
  );
});

test("an instance whose engines are gone still stops when it is told to", async () => {
  await using platform = await startTestPlatform();
  const instance = await platform.oneMore("identity");
  await platform.stop();
  instance.kill("SIGTERM");
  await once(instance, "exit");
  assert.equal(instance.exitCode, 0);
});
