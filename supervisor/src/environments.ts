/** What each process is told: its own credentials and nobody else's. */
import { createHash } from "node:crypto";
import { derive } from "./data-dir.ts";
import type { ServiceManifest } from "./manifest.ts";
import type { PlatformEngines } from "./platform-engines.ts";
import type { Settings } from "./settings.ts";

/** The password of a database role. */
export function databasePassword(master: string, role: string): string {
  return derive(master, `database role ${role}`);
}

export function redisPassword(master: string, service: string): string {
  return derive(master, `redis user ${service}`);
}

/** Consul takes no secret but a UUID; this one is of version 8 (RFC 9562): all its other bits are secret. */
export function consulToken(master: string, service: string): string {
  const hex = Buffer.from(derive(master, `consul token ${service}`), "base64url").toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
}

export interface EnvironmentsOptions {
  readonly manifests: readonly ServiceManifest[];
  readonly master: string;
  readonly adminUrl: string;
  readonly engines: PlatformEngines;
  readonly settings: Settings;
  readonly inherited: NodeJS.ProcessEnv;
}

/** The environment of each service, by name. */
export function environments(options: EnvironmentsOptions): Record<string, Record<string, string>> {
  const { manifests, master, adminUrl, settings, inherited } = options;
  const handedOn: Record<string, string> = {};
  for (const [name, value] of Object.entries(inherited)) {
    if (value !== undefined && !supervisorsOwn.has(name)) handedOn[name] = value;
  }
  // A certificate is the gateway's alone, unless the processes are told to call one another over TLS.
  if (inherited.SWITCHBOARD_TLS_CA) {
    Object.assign(handedOn, given(inherited, ["SWITCHBOARD_TLS_CERT", "SWITCHBOARD_TLS_KEY"]));
  }
  const hashes = Object.fromEntries(
    manifests.map(({ name }) => [name, createHash("sha256").update(serviceSecret(master, name)).digest("hex")]),
  );
  const special: Record<string, Record<string, string>> = {
    gateway: {
      SWITCHBOARD_PORT: String(settings.port),
      ...given(inherited, ["SWITCHBOARD_TLS_CERT", "SWITCHBOARD_TLS_KEY"]),
    },
    auth: {
      SWITCHBOARD_AUTH_KEY_ENCRYPTION_SECRET: derive(master, "auth signing keys"),
      SWITCHBOARD_AUTH_SERVICE_SECRETS: JSON.stringify(hashes),
    },
  };
  return Object.fromEntries(
    manifests.map(({ name }) => [
      name,
      {
        ...handedOn,
        SWITCHBOARD_DATABASE_URL: asRole(adminUrl, master, name),
        SWITCHBOARD_DATABASE_OWNER_URL: asRole(adminUrl, master, `${name}_owner`),
        SWITCHBOARD_SERVICE_SECRET: serviceSecret(master, name),
        ...drivers(name, options),
        ...special[name],
      },
    ]),
  );
}

/** Meant for the supervisor or for one process: not handed on to all. */
const supervisorsOwn = new Set([
  "SWITCHBOARD_PORT",
  "SWITCHBOARD_DATA_DIR",
  "SWITCHBOARD_ADMIN_EMAIL",
  "SWITCHBOARD_ADMIN_PASSWORD",
  "SWITCHBOARD_DATABASE_URL",
  "SWITCHBOARD_TELEMETRY_PORT",
  "SWITCHBOARD_TLS_CERT",
  "SWITCHBOARD_TLS_KEY",
  "SWITCHBOARD_CONSUL_URL",
  "SWITCHBOARD_CONSUL_TOKEN",
  "SWITCHBOARD_REDIS_URL",
]);

/** The engines behind the ports, each with the service's own credential. */
function drivers(name: string, { engines, master, settings }: EnvironmentsOptions): Record<string, string> {
  const { consul, kafkaBrokers, redisUrl } = engines;
  const chosen: Record<string, string> = {
    SWITCHBOARD_REGISTRY: settings.registry,
    SWITCHBOARD_BUS: settings.bus,
    SWITCHBOARD_STATE: settings.state,
  };
  if (consul) {
    chosen.SWITCHBOARD_CONSUL_URL = consul.url;
    // One without access control knows no tokens.
    if (consul.token !== undefined) chosen.SWITCHBOARD_CONSUL_TOKEN = consulToken(master, name);
  }
  if (kafkaBrokers !== undefined) chosen.SWITCHBOARD_KAFKA_BROKERS = kafkaBrokers;
  if (redisUrl !== undefined) {
    const url = new URL(redisUrl);
    url.username = name;
    url.password = redisPassword(master, name);
    chosen.SWITCHBOARD_REDIS_URL = url.href;
  }
  return chosen;
}

function given(environment: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}

function serviceSecret(master: string, service: string): string {
  return derive(master, `service ${service}`);
}

function asRole(adminUrl: string, master: string, role: string): string {
  const url = new URL(adminUrl);
  url.username = role;
  url.password = databasePassword(master, role);
  return url.href;
}
