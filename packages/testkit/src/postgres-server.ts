/**
 * One PostgreSQL for all test files of a run, started by `global-setup.ts`; a file that runs alone starts its own, which
 * ends with the process.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type PostgresServer, startPostgres } from "@switchboard/engines/postgres";
import postgres from "postgres";

/** The services that a test database knows, each with its roles; password of every role: "test". */
export const TEST_SERVICES: Readonly<Record<string, readonly string[]>> = {
  auth: ["switchboard.auth.v1"],
  identity: ["switchboard.identity.v1"],
  authz: ["switchboard.authz.v1"],
  audit: ["switchboard.audit.v1"],
  gateway: ["switchboard.gateway.v1"],
  notes: ["notes.v1"],
};

/** The database that every test database is a copy of. */
export const TEMPLATE = "switchboard_template";

export interface TemporaryPostgres extends PostgresServer {
  readonly folder: string;
  /** After `stop()`: the same cluster at the same address, for tests of an outage. */
  startAgain(): Promise<void>;
}

/** A server of its own in a temporary folder, without the template. Disposing removes the folder too. */
export async function temporaryPostgres(): Promise<TemporaryPostgres> {
  const folder = await mkdtemp(join(tmpdir(), "switchboard-test-"));
  await chmod(folder, 0o755);
  const options = { dataDir: join(folder, "postgres"), fsync: false };
  const server = await startPostgres(options);
  let running = server;
  return {
    ...server,
    folder,
    stop: () => running.stop(),
    async startAgain() {
      running = await startPostgres({ ...options, port: server.port });
    },
    [Symbol.asyncDispose]: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Makes the template: roles, schemas and the drivers' tables, without any service's own. */
export async function makeTemplate(adminUrl: string): Promise<void> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {} });
  await sql`create database ${sql(TEMPLATE)}`;
  await sql.end();
  await provision(databaseUrl(adminUrl, TEMPLATE));
}

/** The same server, another database. */
export function databaseUrl(adminUrl: string, database: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.href;
}

/** The address of the admin database of this run's server; starts one where the run has none. */
export function sharedPostgres(): Promise<string> {
  started ??= process.env.SWITCHBOARD_TEST_DATABASE_URL
    ? Promise.resolve(process.env.SWITCHBOARD_TEST_DATABASE_URL)
    : startForThisProcess();
  return started;
}

let started: Promise<string> | undefined;

async function startForThisProcess(): Promise<string> {
  const server = await temporaryPostgres();
  process.once("exit", () => {
    try {
      process.kill(server.pid, "SIGQUIT");
    } catch {
      // Gone already.
    }
    // The dying server still changes the folder: rmSync then leaves a part of it, and does not say so.
    for (let tries = 0; tries < 100 && existsSync(server.folder); tries++) {
      rmSync(server.folder, { recursive: true, force: true });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  });
  await makeTemplate(server.adminUrl);
  return server.adminUrl;
}

async function provision(adminUrl: string): Promise<void> {
  const main = fileURLToPath(new URL("../../kernel/src/provision/main.ts", import.meta.url));
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, SWITCHBOARD_DATABASE_ADMIN_URL: adminUrl },
    stdio: ["pipe", "ignore", "inherit"],
  });
  const services = Object.entries(TEST_SERVICES).map(([name, packages]) => ({
    name,
    packages,
    password: "test",
    ownerPassword: "test",
  }));
  child.stdin.end(JSON.stringify({ services }));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error("the test database could not be provisioned; the message is above");
}
