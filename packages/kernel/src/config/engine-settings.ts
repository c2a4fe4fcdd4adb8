/** The settings of the engines behind the ports, where they are not PostgreSQL. Needed only where a driver is chosen. */
import { z } from "zod";
import { list, SettingsFault } from "./read-settings.ts";

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
