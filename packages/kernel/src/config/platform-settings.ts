/** The settings that every process of the platform has. A service's own are in its `config.ts`. */
import { z } from "zod";
import {
  type ConsulConfig,
  consulConfig,
  consulSettings,
  type KafkaConfig,
  kafkaConfig,
  kafkaSettings,
  type RedisConfig,
  redisConfig,
  redisSettings,
} from "./engine-settings.ts";
import { integer, port, SettingsFault } from "./read-settings.ts";

export const platformSettings = {
  SWITCHBOARD_HOST: z.string().default("127.0.0.1").describe("The address that the RPC port listens on."),
  SWITCHBOARD_ADVERTISED_HOST: z
    .string()
    .optional()
    .describe("The host that others reach this process at, as the registry tells them. Default: SWITCHBOARD_HOST."),
  SWITCHBOARD_PORT: port
    .prefault("0")
    .describe("The RPC port; 0 lets the system choose. The gateway's default is 8080, a service's is 0."),
  SWITCHBOARD_TELEMETRY_PORT: port
    .prefault("0")
    .describe("The port of /livez, /readyz and /metrics; 0 lets the system choose."),
  SWITCHBOARD_DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: "must be a postgres:// URL" })
    .describe("PostgreSQL, as the role of this process."),
  SWITCHBOARD_DATABASE_OWNER_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: "must be a postgres:// URL" })
    .optional()
    .describe("PostgreSQL as the role that migrates this service's schema. Not set: migrations are taken as done."),
  SWITCHBOARD_DATABASE_POOL: integer({ min: 2, max: 100 })
    .prefault("5")
    .describe("Connections in the pool of this process."),
  SWITCHBOARD_REGISTRY: z
    .enum(["postgres", "consul"])
    .default("postgres")
    .describe("The registry's driver: `postgres` or `consul`."),
  SWITCHBOARD_BUS: z
    .enum(["postgres", "kafka"])
    .default("postgres")
    .describe("The bus's driver: `postgres` or `kafka`."),
  SWITCHBOARD_STATE: z
    .enum(["postgres", "redis"])
    .default("postgres")
    .describe("The state's driver: `postgres` or `redis`."),
  ...consulSettings,
  ...kafkaSettings,
  ...redisSettings,
  SWITCHBOARD_SERVICE_SECRET: z
    .string()
    .min(32, "must have at least 32 characters")
    .describe(
      "What this service proves itself to Auth with, and recognizes repeated requests by; the same for all its instances.",
    ),
  SWITCHBOARD_TLS_CERT: z
    .string()
    .optional()
    .describe("PEM file of the certificate chain. With SWITCHBOARD_TLS_KEY: TLS."),
  SWITCHBOARD_TLS_KEY: z.string().optional().describe("PEM file of the certificate's key."),
  SWITCHBOARD_TLS_CA: z
    .string()
    .optional()
    .describe(
      "PEM file of the authorities that the processes' certificates are of. Set: processes call one another over TLS, so that each needs a certificate.",
    ),
  SWITCHBOARD_LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "silent"])
    .default("info")
    .describe("The least level that is logged."),
  SWITCHBOARD_DRAIN_MS: integer({ min: 0, max: 300_000 })
    .prefault("10000")
    .describe("How long calls under way may take to finish when the process stops, in milliseconds."),
} as const;

export interface PlatformConfig {
  readonly host: string;
  readonly advertisedHost: string;
  readonly port: number;
  readonly telemetryPort: number;
  readonly databaseUrl: string;
  readonly databaseOwnerUrl: string | undefined;
  readonly databasePool: number;
  /** Undefined: PostgreSQL is the driver. */
  readonly consul: ConsulConfig | undefined;
  /** Undefined: PostgreSQL is the driver. */
  readonly kafka: KafkaConfig | undefined;
  /** Undefined: PostgreSQL is the driver. */
  readonly redis: RedisConfig | undefined;
  readonly serviceSecret: string;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** Undefined: other processes are called without TLS. */
  readonly tlsCaFile: string | undefined;
  readonly logLevel: string;
  readonly drainMs: number;
}

/** What the settings mean. @throws SettingsFault where a setting is missing that another one asks for. */
export function platformConfig(read: z.infer<z.ZodObject<typeof platformSettings>>): PlatformConfig {
  const { SWITCHBOARD_TLS_CERT: certFile, SWITCHBOARD_TLS_KEY: keyFile } = read;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new SettingsFault("SWITCHBOARD_TLS_CERT and SWITCHBOARD_TLS_KEY are needed both, or neither");
  }
  return Object.freeze({
    host: read.SWITCHBOARD_HOST,
    advertisedHost: read.SWITCHBOARD_ADVERTISED_HOST ?? read.SWITCHBOARD_HOST,
    port: read.SWITCHBOARD_PORT,
    telemetryPort: read.SWITCHBOARD_TELEMETRY_PORT,
    databaseUrl: read.SWITCHBOARD_DATABASE_URL,
    databaseOwnerUrl: read.SWITCHBOARD_DATABASE_OWNER_URL,
    databasePool: read.SWITCHBOARD_DATABASE_POOL,
    consul: read.SWITCHBOARD_REGISTRY === "consul" ? consulConfig(read) : undefined,
    kafka: read.SWITCHBOARD_BUS === "kafka" ? kafkaConfig(read) : undefined,
    redis: read.SWITCHBOARD_STATE === "redis" ? redisConfig(read) : undefined,
    serviceSecret: read.SWITCHBOARD_SERVICE_SECRET,
    tls: certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined,
    tlsCaFile: read.SWITCHBOARD_TLS_CA,
    logLevel: read.SWITCHBOARD_LOG_LEVEL,
    drainMs: read.SWITCHBOARD_DRAIN_MS,
  });
}
