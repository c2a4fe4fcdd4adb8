/**
 * The administrator's step before the platform runs on Redis: for each service a user that reaches the keys of that
 * service only. Repeating it is harmless, two at once too. What it leaves alone is the default user: an operator closes it.
 */
import { hash } from "node:crypto";
import type { Redis } from "ioredis";
import { createClient, type RedisClientOptions } from "./client.ts";
import { redisFailure } from "./failure.ts";
import { servicePrefix } from "./keys.ts";

export interface RedisServiceEntry {
  /** The service's name, which is its user: "identity". */
  readonly name: string;
  readonly password: string;
}

/** As a user that may write access lists. Redis does not copy them to others: each replica and each node is told itself. */
export interface RedisProvision extends Pick<RedisClientOptions, "url" | "tls"> {
  readonly services: readonly RedisServiceEntry[];
}

/** What state/redis.ts calls, and below it what ioredis asks when it connects, alone, to Sentinel's master or to a cluster. */
const COMMANDS = `get set del exists pexpire time eval evalsha
  info select client|setname readonly asking cluster|slots cluster|info`.split(/\s+/);

/** Nothing that a pattern of keys reads as more than itself. */
const nameForm = /^[a-z][a-z0-9_-]{0,62}$/;

/**
 * The users outlive a restart where Redis keeps them in a file (`aclfile`).
 * @throws RangeError for a name that is no service's, or is the administrator's own, and for an empty password; Error where
 * Redis cannot be asked, or refuses.
 */
export async function provisionRedis({ services, ...connection }: RedisProvision): Promise<void> {
  const operators = new Set(["default", decodeURIComponent(new URL(connection.url).username)]);
  for (const { name, password } of services) {
    if (!nameForm.test(name) || operators.has(name)) throw new RangeError(`${name} cannot be the user of a service`);
    if (password === "") throw new RangeError(`the user ${name} needs a password`);
  }
  const client = createClient(connection, "switchboard:provision") as Redis;
  let failure: unknown;
  client.on("error", (error) => {
    failure = error;
  });
  try {
    await client.connect().catch((error) => Promise.reject(failure ?? error));
    for (const { name, password } of services) await setUser(client, name, password);
    await save(client);
  } catch (error) {
    // Redis's own error has the command in it.
    throw redisFailure(error);
  } finally {
    client.disconnect();
  }
}

async function setUser(client: Redis, name: string, password: string): Promise<void> {
  await client.acl(
    "SETUSER",
    name,
    "reset",
    "on",
    // Redis keeps the hash; the password itself never travels.
    `#${hash("sha256", password)}`,
    `~${servicePrefix(name)}*`,
    ...COMMANDS.map((command) => `+${command}`),
  );
}

async function save(client: Redis): Promise<void> {
  try {
    await client.acl("SAVE");
  } catch (error) {
    if (!(error instanceof Error && error.message.includes("not configured to use an ACL file"))) throw error;
  }
}
