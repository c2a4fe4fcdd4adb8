/** The settings of the engines behind the ports, where they are not PostgreSQL. Needed only where a driver is chosen. */
import { z } from "zod";
import { integer, list, SettingsFault } from "./read-settings.ts";

export const consulSettings = {
  SWITCHBOARD_CONSUL_URL: z
    .url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" })
    .optional()
    .describe("Consul's agent, for the registry `consul`."),
  SWITCHBOARD_CONSUL_TOKEN: z
    .string()
    .optional()
    .describe("The ACL token of this process. Not set: the anonymous one."),
  SWITCHBOARD_CONSUL_CA: z.string().optional().describe("PEM file of the authorities that Consul's certificate is of."),
};

export const kafkaSettings = {
  SWITCHBOARD_KAFKA_BROKERS: list
    .optional()
    .describe("Kafka's brokers for the bus `kafka`: host:port, comma-separated."),
  SWITCHBOARD_KAFKA_USERNAME: z.string().optional().describe("SASL user (SCRAM-SHA-512). Not set: no authentication."),
  SWITCHBOARD_KAFKA_PASSWORD: z.string().optional().describe("The password of SWITCHBOARD_KAFKA_USERNAME."),
  SWITCHBOARD_KAFKA_CA: z
    .string()
    .optional()
    .describe("PEM file of the authorities that the brokers' certificates are of. Set: TLS."),
  SWITCHBOARD_KAFKA_PARTITIONS: integer({ min: 1, max: 1_000 })
    .prefault("16")
    .describe("Partitions of a topic that is made: so many instances of a service can share its events."),
  SWITCHBOARD_KAFKA_REPLICATION: integer({ min: 0, max: 9 })
    .prefault("0")
    .describe("Copies of a topic that is made; 0: three, or as many as there are brokers."),
};

export const redisSettings = {
  SWITCHBOARD_REDIS_URL: z
    .url({ protocol: /^rediss?$/, error: "must be a redis:// or rediss:// URL" })
    .optional()
    .describe("Redis as the user of this process, for the state `redis`; rediss:// is with TLS."),
  SWITCHBOARD_REDIS_CA: z.string().optional().describe("PEM file of the authorities that Redis's certificate is of."),
  SWITCHBOARD_REDIS_SENTINELS: list
    .optional()
    .describe("Sentinels, as redis:// URLs; the host of SWITCHBOARD_REDIS_URL is then the master's name."),
  SWITCHBOARD_REDIS_CLUSTER: z
    .stringbool()
    .default(false)
    .describe("Whether SWITCHBOARD_REDIS_URL is a node of a cluster."),
};

export interface ConsulConfig {
  readonly url: string;
  readonly token: string | undefined;
  readonly caFile: string | undefined;
}

export interface KafkaConfig {
  readonly brokers: readonly string[];
  readonly sasl: { readonly username: string; readonly password: string } | undefined;
  readonly partitions: number;
  /** 0: three, or as many as there are brokers. */
  readonly replication: number;
  readonly caFile: string | undefined;
}

export interface RedisConfig {
  readonly url: string;
  readonly caFile: string | undefined;
  readonly sentinels: readonly string[] | undefined;
  readonly cluster: boolean;
}

type Read<Shape extends z.ZodRawShape> = z.infer<z.ZodObject<Shape>>;

export function consulConfig(read: Read<typeof consulSettings>): ConsulConfig {
  return Object.freeze({
    url: needed("SWITCHBOARD_CONSUL_URL", read.SWITCHBOARD_CONSUL_URL, "SWITCHBOARD_REGISTRY=consul"),
    token: read.SWITCHBOARD_CONSUL_TOKEN,
    caFile: read.SWITCHBOARD_CONSUL_CA,
  });
}

export function kafkaConfig(read: Read<typeof kafkaSettings>): KafkaConfig {
  const { SWITCHBOARD_KAFKA_USERNAME: username, SWITCHBOARD_KAFKA_PASSWORD: password } = read;
  return Object.freeze({
    brokers: needed("SWITCHBOARD_KAFKA_BROKERS", read.SWITCHBOARD_KAFKA_BROKERS, "SWITCHBOARD_BUS=kafka"),
    sasl:
      username === undefined
        ? undefined
        : {
            username,
            password: needed("SWITCHBOARD_KAFKA_PASSWORD", password, "SWITCHBOARD_KAFKA_USERNAME"),
          },
    caFile: read.SWITCHBOARD_KAFKA_CA,
    partitions: read.SWITCHBOARD_KAFKA_PARTITIONS,
    replication: read.SWITCHBOARD_KAFKA_REPLICATION,
  });
}

export function redisConfig(read: Read<typeof redisSettings>): RedisConfig {
  return Object.freeze({
    url: needed("SWITCHBOARD_REDIS_URL", read.SWITCHBOARD_REDIS_URL, "SWITCHBOARD_STATE=redis"),
    caFile: read.SWITCHBOARD_REDIS_CA,
    sentinels: read.SWITCHBOARD_REDIS_SENTINELS,
    cluster: read.SWITCHBOARD_REDIS_CLUSTER,
  });
}

function needed<T>(name: string, value: T | undefined, by: string): T {
  if (value !== undefined) return value;
  throw new SettingsFault(`these settings cannot be used:\n  ${name}: is not set, and ${by} needs it`);
}
