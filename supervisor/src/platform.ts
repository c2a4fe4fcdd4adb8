/** The platform on this machine: PostgreSQL, then every process, started side by side and stopped in reverse order. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type PostgresServer, startPostgres } from "@switchboard/engines/postgres";
import { DataDir, derive, type Secrets } from "./data-dir.ts";
import { consulToken, databasePassword, environments, redisPassword } from "./environments.ts";
import { ManagedProcess } from "./managed-process.ts";
import { readManifests, type ServiceManifest } from "./manifest.ts";
import { type PlatformEngines, platformEngines } from "./platform-engines.ts";
import type { Settings } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

const TELL_EVERY_MS = 10_000;

export interface Platform extends AsyncDisposable {
  /** Resolves when every process is ready. @throws where one is hopeless. */
  readonly ready: Promise<void>;
  /** The password that was made for the first administrator; undefined: it is known already. */
  readonly newAdminPassword: string | undefined;
  /** To be called once the password was shown. */
  forgetAdminPassword(): Promise<void>;
}

export async function startPlatform(
  settings: Settings,
  terminal: Terminal,
  environment: NodeJS.ProcessEnv,
): Promise<Platform> {
  await using stack = new AsyncDisposableStack();
  const manifests = await readManifests(settings.root, settings.extraServices);
  const dataDir = new DataDir(settings.dataDir);
  await dataDir.take();
  await requireFreePort(settings.port);
  stack.defer(() => dataDir.release());

  const secrets = await withAdminPassword(dataDir, settings);
  const engines = await platformEngines(settings, environment);
  const adminUrl = engines.databaseUrl ?? (await keepPostgres(stack, settings, terminal));
  await provision(manifests, secrets.master, adminUrl, engines, settings);

  const env = environments({ manifests, master: secrets.master, adminUrl, engines, settings, inherited: environment });
  if (!secrets.adminMade) {
    Object.assign(env.auth ?? {}, {
      SWITCHBOARD_ADMIN_EMAIL: settings.adminEmail,
      SWITCHBOARD_ADMIN_PASSWORD: settings.adminPassword ?? secrets.adminPassword ?? "",
    });
  }
  const logs = join(settings.dataDir, "logs");
  await mkdir(logs, { recursive: true, mode: 0o700 });
  const hopeless = Promise.withResolvers<never>();
  hopeless.promise.catch(() => {});
  const processes: ManagedProcess[] = [];
  const remember = () =>
    void dataDir.setRunning({
      supervisorPid: process.pid,
      processes: Object.fromEntries(processes.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid]]))),
      environments: env,
    });
  for (const { name, main } of manifests) {
    const managed = new ManagedProcess({
      name,
      main,
      environment: env[name] ?? {},
      logFile: join(logs, `${name}.log`),
      terminal,
      onStart: remember,
      onHopeless: (why) => hopeless.reject(new Error(why)),
    });
    processes.push(managed);
  }
  // The gateway comes last in the list and goes first: nothing new comes in while the others finish.
  stack.defer(async () => {
    await processes.at(-1)?.stop();
    await Promise.all(processes.slice(0, -1).map((managed) => managed.stop()));
  });
  for (const managed of processes) managed.start();

  const stopped = new AbortController();
  stack.defer(() => stopped.abort());
  const ready = Promise.race([allReady(processes, terminal, stopped.signal), hopeless.promise]);
  const rest = stack.move();
  return {
    ready,
    newAdminPassword: secrets.adminMade ? undefined : (settings.adminPassword ?? secrets.adminPassword),
    forgetAdminPassword: () => dataDir.setSecrets({ master: secrets.master, adminMade: true }),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

async function withAdminPassword(dataDir: DataDir, settings: Settings): Promise<Secrets> {
  const secrets = await dataDir.secrets();
  if (secrets.adminMade || settings.adminPassword !== undefined || secrets.adminPassword !== undefined) return secrets;
  const made = { ...secrets, adminPassword: derive(secrets.master, "first administrator").slice(0, 24) };
  await dataDir.setSecrets(made);
  return made;
}

/** Starts PostgreSQL and, where it dies, starts it again on the same port. */
async function keepPostgres(stack: AsyncDisposableStack, settings: Settings, terminal: Terminal): Promise<string> {
  const dataDir = join(settings.dataDir, "postgres");
  let server: PostgresServer = await startPostgres({ dataDir });
  const { adminUrl, port } = server;
  let stopping = false;
  const watch = async () => {
    while (!stopping) {
      terminal.line(`${await server.died}; it is started again`);
      while (!stopping) {
        try {
          server = await startPostgres({ dataDir, port });
          break;
        } catch (error) {
          terminal.line(`${(error as Error).message}; tried again`);
          await delay(1_000);
        }
      }
    }
  };
  void watch();
  stack.defer(async () => {
    stopping = true;
    await server.stop();
  });
  return adminUrl;
}

/** Roles, schemas and the drivers' tables, tokens and users, by the kernel's own step. */
async function provision(
  manifests: readonly ServiceManifest[],
  master: string,
  adminUrl: string,
  { consul, redisUrl }: PlatformEngines,
  settings: Settings,
) {
  const main = join(settings.root, "packages/kernel/src/provision/main.ts");
  const child = spawn(process.execPath, [main], {
    env: {
      SWITCHBOARD_DATABASE_ADMIN_URL: adminUrl,
      SWITCHBOARD_CONSUL_URL: consul?.url,
      SWITCHBOARD_CONSUL_TOKEN: consul?.token,
      SWITCHBOARD_REDIS_URL: redisUrl,
    },
    stdio: ["pipe", "ignore", "inherit"],
  });
  const services = manifests.map(({ name, packages }) => ({
    name,
    packages,
    password: databasePassword(master, name),
    ownerPassword: databasePassword(master, `${name}_owner`),
    ...(consul && { consulToken: consulToken(master, name) }),
    ...(redisUrl !== undefined && { redisPassword: redisPassword(master, name) }),
  }));
  child.stdin.end(JSON.stringify({ services }));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error("the engines could not be prepared; the reason is above");
}

/** Says from time to time what it waits for. */
async function allReady(processes: readonly ManagedProcess[], terminal: Terminal, stopped: AbortSignal): Promise<void> {
  let tellTime = performance.now() + TELL_EVERY_MS;
  while (!stopped.aborted) {
    const lacking = await Promise.all(
      processes.map(async (managed) => (await managed.problems()).map((problem) => `${managed.name}: ${problem}`)),
    );
    const lines = lacking.flat();
    if (lines.length === 0) return;
    if (performance.now() > tellTime) {
      terminal.line(`not ready yet: ${lines.join("; ")}`);
      tellTime += TELL_EVERY_MS;
    }
    await delay(50);
  }
}

async function requireFreePort(port: number): Promise<void> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new Error(`port ${port} is taken: stop what listens there, or set SWITCHBOARD_PORT`, { cause });
  }
  server.close();
  await once(server, "close");
}
