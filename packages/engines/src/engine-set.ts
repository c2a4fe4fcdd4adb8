/** The four real engines side by side on this machine, each in a folder of its own. Who may do what in them is said by provisioning. */
import { randomBytes, randomUUID } from "node:crypto";
import { access, chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ConsulServer, startConsul } from "./consul.ts";
import { installConsul } from "./consul-program.ts";
import { type KafkaServer, startKafka } from "./kafka.ts";
import { installKafka } from "./kafka-program.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { type RedisServer, startRedis } from "./redis.ts";
import { installRedis } from "./redis-program.ts";

/** Where they are and how an administrator gets in: what provisioning needs. */
export interface EngineAddresses {
  /** As superuser. */
  readonly databaseUrl: string;
  readonly consulUrl: string;
  /** May do everything. */
  readonly consulToken: string;
  /** host:port, comma-separated. */
  readonly kafkaBrokers: string;
  /** As the user that may do everything. */
  readonly redisUrl: string;
}

export interface EngineSet extends AsyncDisposable {
  readonly addresses: EngineAddresses;
  readonly postgres: PostgresServer;
  readonly consul: ConsulServer;
  readonly kafka: KafkaServer;
  readonly redis: RedisServer;
  stop(): Promise<void>;
}

export interface EngineSetOptions {
  /** Where they are installed; see engine-home.ts. */
  readonly home: string;
  /** Where they keep their data and logs. */
  readonly dataDir: string;
  /** Whether commits wait for the disk. Off only for data that a power cut may take. Default true. */
  readonly fsync?: boolean;
}

interface EngineSecrets {
  readonly consulToken: string;
  readonly redisPassword: string;
}

/** Installs what is not there, one after another; PostgreSQL came with npm. @throws Error that names what is missing. */
export async function installEngines(home: string): Promise<void> {
  await installConsul(home);
  await installRedis(home);
  await installKafka(home);
}

/** Resolves when all of them answer; where one does not start, none is left running. */
export async function startEngines({ home, dataDir, fsync = true }: EngineSetOptions): Promise<EngineSet> {
  await mkdir(dataDir, { recursive: true });
  // PostgreSQL runs as another user where this one is root.
  await chmod(dataDir, 0o755);
  const secrets = await keptSecrets(join(dataDir, "secrets.json"));
  const started = await Promise.allSettled([
    startPostgres({ dataDir: join(dataDir, "postgres"), fsync }),
    startConsul({
      home,
      dataDir: join(dataDir, "consul"),
      acl: { managementToken: secrets.consulToken },
    }),
    startKafka({ home, dataDir: join(dataDir, "kafka") }),
    startRedisWithUsers(home, join(dataDir, "redis"), secrets.redisPassword),
  ]);
  const [postgres, consul, kafka, redis] = started;
  if (
    postgres.status === "rejected" ||
    consul.status === "rejected" ||
    kafka.status === "rejected" ||
    redis.status === "rejected"
  ) {
    await Promise.all(started.map((engine) => engine.status === "fulfilled" && engine.value.stop()));
    throw started.find((engine) => engine.status === "rejected")?.reason;
  }
  const redisUrl = new URL(redis.value.url);
  redisUrl.password = secrets.redisPassword;
  const stop = async () => {
    await Promise.all([postgres, consul, kafka, redis].map(({ value }) => value.stop()));
  };
  return {
    addresses: {
      databaseUrl: postgres.value.adminUrl,
      consulUrl: consul.value.url,
      consulToken: secrets.consulToken,
      kafkaBrokers: kafka.value.brokers,
      redisUrl: redisUrl.href,
    },
    postgres: postgres.value,
    consul: consul.value,
    kafka: kafka.value,
    redis: redis.value,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function keptSecrets(file: string): Promise<EngineSecrets> {
  const kept = await readFile(file, "utf8").catch(() => undefined);
  if (kept !== undefined) return JSON.parse(kept);
  const made = { consulToken: randomUUID(), redisPassword: randomBytes(24).toString("base64url") };
  await writeFile(file, JSON.stringify(made), { mode: 0o600 });
  return made;
}

/** Its users are in a file, so that they are there again after a restart. */
async function startRedisWithUsers(home: string, dataDir: string, password: string): Promise<RedisServer> {
  await mkdir(dataDir, { recursive: true });
  const users = join(dataDir, "users.acl");
  const there = await access(users).then(
    () => true,
    () => false,
  );
  if (!there) await writeFile(users, `user default on >${password} ~* &* +@all\n`, { mode: 0o600 });
  return startRedis({ home, dataDir, args: ["--aclfile", users] });
}
