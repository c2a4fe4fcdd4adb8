import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import postgres from "postgres";
import { startPostgres } from "./postgres.ts";
import { isRunning, stopProcess } from "./stop-process.ts";

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "switchboard-engines-"));
  await chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("keeps its data over a restart, and leaves no process", async () => {
  await using folder = await temporaryFolder();
  const dataDir = join(folder.path, "pg");
  const first = await startPostgres({ dataDir, fsync: false });
  const sql = postgres(first.adminUrl, { max: 1 });
  await sql`create table kept as select 42 as answer`;
  await sql.end();
  await first.stop();
  assert.equal(await isRunning(first.pid), false);

  await using second = await startPostgres({ dataDir, port: first.port, fsync: false });
  assert.equal(second.port, first.port);
  const again = postgres(second.adminUrl, { max: 1 });
  assert.deepEqual([...(await again`select answer from kept`)], [{ answer: 42 }]);
  await again.end();
});

test("takes back a server whose parent was killed", async () => {
  await using folder = await temporaryFolder();
  const dataDir = join(folder.path, "pg");
  const script = `
    import { startPostgres } from ${JSON.stringify(import.meta.resolve("./postgres.ts"))};
    const server = await startPostgres({ dataDir: ${JSON.stringify(dataDir)}, fsync: false });
    console.log(server.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(parent.stdout, "data");
  const orphan = Number(String(line));
  parent.kill("SIGKILL");
  await once(parent, "exit");
  assert.equal(await isRunning(orphan, "postgres"), true);

  await using server = await startPostgres({ dataDir, fsync: false });
  assert.equal(await isRunning(orphan, "postgres"), false);
  assert.notEqual(server.pid, orphan);
});

test("says so when it dies unasked", async () => {
  await using folder = await temporaryFolder();
  await using server = await startPostgres({ dataDir: join(folder.path, "pg"), fsync: false });
  await stopProcess(server.pid, "SIGQUIT");
  assert.match(await server.died, /PostgreSQL ended/);
});
