/** The supervisor's settings. What else begins with SWITCHBOARD_ is handed on to every process as it is. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";

export const PROFILES = ["embedded", "engines"] as const;
export type Profile = (typeof PROFILES)[number];

export interface Settings {
  /** The gateway's port. */
  readonly port: number;
  /** Of the gateway's address: with a certificate it speaks TLS only. */
  readonly scheme: "http" | "https";
  /** Absolute. */
  readonly dataDir: string;
  readonly adminEmail: string;
  /** Undefined: generated. */
  readonly adminPassword: string | undefined;
  readonly profile: Profile;
  readonly registry: "postgres" | "consul";
  readonly bus: "postgres" | "kafka";
  readonly state: "postgres" | "redis";
  /** Engines of the user's own, as their administrator; undefined: those of `npm run engines`, or the embedded one. */
  readonly databaseUrl: string | undefined;
  readonly consulUrl: string | undefined;
  readonly consulToken: string | undefined;
  readonly kafkaBrokers: string | undefined;
  readonly redisUrl: string | undefined;
  /** Folders of services to run beside those in `services/`, relative to the root. */
  readonly extraServices: readonly string[];
  readonly root: string;
}

export const settingsShape = {
  SWITCHBOARD_PORT: z
    .string()
    .regex(/^\d+$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().max(65_535))
    .prefault("8080")
    .describe("The gateway's port."),
  SWITCHBOARD_DATA_DIR: z
    .string()
    .default(".switchboard")
    .describe("The folder of the platform's data, secrets and logs."),
  SWITCHBOARD_ADMIN_EMAIL: z
    .email("must be an e-mail address")
    .default("admin@switchboard.local")
    .describe("The first administrator's e-mail."),
  SWITCHBOARD_ADMIN_PASSWORD: z
    .string()
    .min(15, "must have at least 15 characters")
    .optional()
    .describe("The first administrator's password. Not set: one is made and shown once."),
  SWITCHBOARD_DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: "must be a postgres:// URL" })
    .optional()
    .describe(
      "A PostgreSQL of your own, as a superuser. Not set: that of `npm run engines` in the profile `engines`, else the embedded one.",
    ),
  SWITCHBOARD_REGISTRY: z.enum(["postgres", "consul"]).optional().describe("Not set: what the profile says."),
  SWITCHBOARD_BUS: z.enum(["postgres", "kafka"]).optional().describe("Not set: what the profile says."),
  SWITCHBOARD_STATE: z.enum(["postgres", "redis"]).optional().describe("Not set: what the profile says."),
  SWITCHBOARD_CONSUL_URL: z
    .url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" })
    .optional()
    .describe("A Consul of your own. Not set: that of `npm run engines`."),
  SWITCHBOARD_CONSUL_TOKEN: z
    .string()
    .optional()
    .describe("A token of that Consul that may write policies, tokens and keys; every service gets one of its own."),
  SWITCHBOARD_KAFKA_BROKERS: z
    .string()
    .optional()
    .describe("A Kafka of your own: host:port, comma-separated. Not set: that of `npm run engines`."),
  SWITCHBOARD_REDIS_URL: z
    .url({ protocol: /^rediss?$/, error: "must be a redis:// or rediss:// URL" })
    .optional()
    .describe("A Redis of your own, as a user that may make users. Not set: that of `npm run engines`."),
};

/** @throws Error that lists every fault. */
export function readSettings(root: string, environment: NodeJS.ProcessEnv, args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      profile: { type: "string", default: "embedded" },
      with: { type: "string", multiple: true, default: [] },
    },
  });
  const profile = PROFILES.find((known) => known === values.profile);
  if (profile === undefined) {
    throw new Error(`--profile ${values.profile} is not known; there are: ${PROFILES.join(", ")}`);
  }
  const real = profile === "engines";
  const given = Object.fromEntries(Object.keys(settingsShape).map((name) => [name, environment[name] || undefined]));
  const result = z.object(settingsShape).safeParse(given);
  if (!result.success) {
    const faults = result.error.issues.map((issue) => `  ${String(issue.path[0])}: ${issue.message}`);
    throw new Error(`these settings cannot be used:\n${faults.join("\n")}`);
  }
  const read = result.data;
  return {
    port: read.SWITCHBOARD_PORT,
    scheme: environment.SWITCHBOARD_TLS_CERT ? "https" : "http",
    dataDir: resolve(root, read.SWITCHBOARD_DATA_DIR),
    adminEmail: read.SWITCHBOARD_ADMIN_EMAIL,
    adminPassword: read.SWITCHBOARD_ADMIN_PASSWORD,
    profile,
    registry: read.SWITCHBOARD_REGISTRY ?? (real ? "consul" : "postgres"),
    bus: read.SWITCHBOARD_BUS ?? (real ? "kafka" : "postgres"),
    state: read.SWITCHBOARD_STATE ?? (real ? "redis" : "postgres"),
    databaseUrl: read.SWITCHBOARD_DATABASE_URL,
    consulUrl: read.SWITCHBOARD_CONSUL_URL,
    consulToken: read.SWITCHBOARD_CONSUL_TOKEN,
    kafkaBrokers: read.SWITCHBOARD_KAFKA_BROKERS,
    redisUrl: read.SWITCHBOARD_REDIS_URL,
    extraServices: values.with,
    root,
  };
}
