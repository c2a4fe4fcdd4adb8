/**
 * A whole platform for a test: `npm start` in a folder of its own, on a port of its own. With SWITCHBOARD_TEST_PROFILE=engines
 * it runs on engines of its own instead of the embedded PostgreSQL: the same tests are for both.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { engineHome } from "@switchboard/engines/engine-home";
import { type EngineSet, startEngines } from "@switchboard/engines/engine-set";
import { freePort } from "@switchboard/engines/free-port";

const root = resolve(import.meta.dirname, "../../..");

export const ADMIN = { email: "admin@example.com", password: "correct horse battery staple" } as const;

export interface TestPlatform extends AsyncDisposable {
  /** "http://127.0.0.1:PORT", or https where there is a certificate. */
  readonly url: string;
  readonly dataDir: string;
  readonly supervisor: ChildProcess;
  /** Every line that the supervisor printed so far. */
  readonly output: readonly string[];
  /** Process ids of everything that the supervisor runs, by service: read anew at each call. */
  processes(): Promise<Readonly<Record<string, number>>>;
  /** "http://127.0.0.1:PORT" of each process's telemetry, by service, as its log tells. */
  telemetry(): Promise<Readonly<Record<string, string>>>;
  /** One more instance of a service. Resolves when it serves. */
  oneMore(service: string): Promise<ChildProcess>;
  /** SIGTERM to the supervisor; resolves with its exit code. */
  stop(): Promise<number | null>;
}

export interface TestPlatformOptions {
  /** Instead of a new one that is removed at the end. */
  readonly dataDir?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** Resolves when the ready line is there. @throws with what was printed when the supervisor ends before. */
export async function startTestPlatform(options: TestPlatformOptions = {}): Promise<TestPlatform> {
  const dataDir = options.dataDir ?? (await temporaryFolder());
  const port = await freePort();
  const engines = runsOnEngines()
    ? await startEngines({ home: engineHome(process.env), dataDir: join(dataDir, "engines"), fsync: false })
    : undefined;
  const environment = {
    ...process.env,
    SWITCHBOARD_PORT: String(port),
    SWITCHBOARD_DATA_DIR: dataDir,
    SWITCHBOARD_ADMIN_EMAIL: ADMIN.email,
    SWITCHBOARD_ADMIN_PASSWORD: ADMIN.password,
    ...(engines && addressesOf(engines)),
    ...options.environment,
  };
  const profile = engines ? ["--profile", "engines"] : [];
  const start = [join(root, "supervisor/start.mjs"), ...profile, ...(options.args ?? [])];
  const supervisor = spawn(process.execPath, start, {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  const ready = Promise.withResolvers<string>();
  for (const stream of [supervisor.stdout, supervisor.stderr]) {
    createInterface(stream).on("line", (line) => {
      output.push(line);
      const match = /^ready (https?:\/\/127\.0\.0\.1:\d+)/.exec(line);
      if (match?.[1]) ready.resolve(match[1]);
    });
  }
  const exited = once(supervisor, "exit").then(([code]) => code as number | null);
  void exited.then(() => ready.reject(new Error(`the platform did not start:\n${output.join("\n")}`)));
  const stop = async () => {
    supervisor.kill("SIGTERM");
    const code = await exited;
    await engines?.stop();
    return code;
  };
  const url = await ready.promise.catch(async (error) => {
    await engines?.stop();
    throw error;
  });
  return {
    url,
    dataDir,
    supervisor,
    output,
    async processes() {
      const running = JSON.parse(await readFile(join(dataDir, "running.json"), "utf8"));
      return running.processes as Record<string, number>;
    },
    async telemetry() {
      const folder = join(dataDir, "logs");
      const found: Record<string, string> = {};
      for (const file of await readdir(folder)) {
        const log = await readFile(join(folder, file), "utf8");
        const port = [...log.matchAll(/"telemetryPort":(\d+)/g)].at(-1)?.[1];
        if (port) found[file.replace(".log", "")] = `http://127.0.0.1:${port}`;
      }
      return found;
    },
    async oneMore(service) {
      const child = spawn(process.execPath, [join(root, "supervisor/service.mjs"), service], {
        env: environment,
        stdio: ["ignore", "pipe", "inherit"],
      });
      for await (const line of createInterface(child.stdout)) {
        if (line.includes('"msg":"serving"')) break;
      }
      child.stdout.resume();
      return child;
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function runsOnEngines(): boolean {
  return process.env.SWITCHBOARD_TEST_PROFILE === "engines";
}

function addressesOf({ addresses }: EngineSet): Record<string, string> {
  return {
    SWITCHBOARD_DATABASE_URL: addresses.databaseUrl,
    SWITCHBOARD_CONSUL_URL: addresses.consulUrl,
    SWITCHBOARD_CONSUL_TOKEN: addresses.consulToken,
    SWITCHBOARD_KAFKA_BROKERS: addresses.kafkaBrokers,
    SWITCHBOARD_REDIS_URL: addresses.redisUrl,
  };
}

/** A folder that every user may pass, so that PostgreSQL can run there for root too. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "switchboard-test-"));
  await chmod(folder, 0o755);
  return folder;
}
