/** What each process is told: its own credentials and nobody else's. */
import { createHash } from "node:crypto";
import { derive } from "./data-dir.ts";
import type { ServiceManifest } from "./manifest.ts";
import type { Settings } from "./settings.ts";

/** The password of a database role. */
export function databasePassword(master: string, role: string): string {
  return derive(master, `database role ${role}`);
}

/** The environment of each service, by name. */
export function environments(
  manifests: readonly ServiceManifest[],
  master: string,
  adminUrl: string,
  settings: Settings,
  inherited: NodeJS.ProcessEnv,
): Record<string, Record<string, string>> {
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
]);

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
