/**
 * A real PostgreSQL on this machine, from the binaries that npm installed: initialized, started, stopped, and taken back
 * from a process that died without stopping it. Runs the binaries itself, so that no signal handler of a wrapper is in
 * the way and the server outlives its parent's signals until it is told to stop.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { freePort } from "./free-port.ts";
import { findBinaries } from "./postgres-binaries.ts";
import { type RunAs, runAs } from "./run-as.ts";
import { isRunning, stopProcess } from "./stop-process.ts";

export interface PostgresOptions {
  /** Where the cluster lives; made where it is not there. */
  readonly dataDir: string;
  /** 0: chosen by the system. Default 0. */
  readonly port?: number;
  /** Whether commits wait for the disk. Off only for data that a power cut may take. Default true. */
  readonly fsync?: boolean;
}

export interface PostgresServer extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** As superuser, database `postgres`. Holds the password. */
  readonly adminUrl: string;
  /** Resolves with what is to be told when the server ends without having been asked to. */
  readonly died: Promise<string>;
  /** Fast shutdown: transactions under way are rolled back; resolves when the process is gone. */
  stop(): Promise<void>;
}

/** Starts the cluster. One that an earlier process left running on the same folder is stopped first. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const binaries = await findBinaries();
  const { dataDir } = options;
  await mkdir(dataDir, { recursive: true });
  const user = await runAs(dataDir);
  const cluster = join(dataDir, "cluster");
  const password = await initialize(binaries.initdb, dataDir, cluster, user);
  await stopOrphan(cluster);

  const port = options.port || (await freePort());
  const log = await open(join(dataDir, "postgres.log"), "a");
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: 200,
    password_encryption: "scram-sha-256",
    fsync: options.fsync === false ? "off" : "on",
    log_min_messages: "warning",
    timezone: "UTC",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = spawn(binaries.postgres, ["-D", cluster, ...flags], {
    ...user,
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  await Promise.race([once(child, "spawn"), once(child, "error").then(([error]) => Promise.reject(error))]);
  await log.close();
  child.unref();
  const exit = once(child, "exit");
  const ended = new AbortController();
  let stopping = false;
  const died = exit.then(([code, signal]) => {
    ended.abort();
    return stopping ? new Promise<string>(() => {}) : `PostgreSQL ended (${signal ?? `code ${code}`})`;
  });
  const pid = child.pid as number;
  const adminUrl = `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`;
  try {
    await accepting(adminUrl, ended.signal);
  } catch (cause) {
    await stopProcess(pid, "SIGINT");
    throw new Error(`PostgreSQL did not start; its log is ${join(dataDir, "postgres.log")}`, { cause });
  }
  const stop = async () => {
    stopping = true;
    if (!ended.signal.aborted) await stopProcess(pid, "SIGINT");
  };
  return { port, pid, adminUrl, died, stop, [Symbol.asyncDispose]: stop };
}

/** Makes the cluster in a folder beside and moves it into place, so that one that was interrupted is made anew. */
async function initialize(initdb: string, dataDir: string, cluster: string, user: RunAs): Promise<string> {
  const passwordFile = join(dataDir, "password");
  try {
    await readFile(join(cluster, "PG_VERSION"));
    return (await readFile(passwordFile, "utf8")).trim();
  } catch {
    // Not there yet.
  }
  const unfinished = `${cluster}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  const password = randomBytes(24).toString("base64url");
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user.uid !== undefined && user.gid !== undefined) await chown(passwordFile, user.uid, user.gid);
  const child = spawn(
    initdb,
    [
      `--pgdata=${unfinished}`,
      "--username=postgres",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--locale=C",
      "--no-sync",
    ],
    { ...user, stdio: ["ignore", "ignore", "pipe"] },
  );
  let problem = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    problem += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`initdb failed: ${problem.trim()}`);
  await rename(unfinished, cluster);
  return password;
}

async function stopOrphan(cluster: string): Promise<void> {
  const file = await readFile(join(cluster, "postmaster.pid"), "utf8").catch(() => "");
  const pid = Number.parseInt(file, 10);
  if (Number.isInteger(pid) && (await isRunning(pid, "postgres"))) await stopProcess(pid, "SIGINT");
}

async function accepting(url: string, ended: AbortSignal): Promise<void> {
  const end = performance.now() + 30_000;
  for (;;) {
    const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
    try {
      await sql`select 1`;
      return;
    } catch (error) {
      if (ended.aborted || performance.now() > end) throw error;
    } finally {
      await sql.end({ timeout: 1 }).catch(() => {});
    }
    await delay(25);
  }
}
