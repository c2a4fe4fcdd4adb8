/** The only file that names drivers: opens what the settings choose, and loads nothing else. */
import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import type { Bus } from "./bus/bus.ts";
import type { PlatformConfig } from "./config/platform-settings.ts";
import type { Registry } from "./registry/registry.ts";
import type { State } from "./state/state.ts";

export interface Ports {
  readonly registry: Registry;
  readonly bus: Bus;
  readonly state: State;
}

/** Opens the three ports; on a fault those that are open already are closed. */
export async function openPorts(
  config: PlatformConfig,
  service: string,
  log: Logger,
  stack: AsyncDisposableStack,
): Promise<Ports> {
  const registry = stack.use(await openRegistry(config, log));
  const bus = stack.use(await openBus(config, service, log));
  const state = stack.use(await openState(config, service, log));
  return { registry, bus, state };
}

async function openRegistry({ consul, databaseUrl }: PlatformConfig, log: Logger): Promise<Registry> {
  if (consul === undefined) {
    const { openPostgresRegistry } = await import("./registry/postgres.ts");
    return openPostgresRegistry({ url: databaseUrl, log });
  }
  const { openConsulRegistry } = await import("./registry/consul.ts");
  const { url, token, caFile } = consul;
  return openConsulRegistry({
    url,
    ...(token !== undefined && { token }),
    ...(caFile !== undefined && { tls: { ca: await readFile(caFile, "utf8") } }),
    log,
  });
}

async function openBus({ kafka, databaseUrl }: PlatformConfig, service: string, log: Logger): Promise<Bus> {
  if (kafka === undefined) {
    const { openPostgresBus } = await import("./bus/postgres.ts");
    return openPostgresBus({ url: databaseUrl, service, log });
  }
  const { openKafkaBus } = await import("./bus/kafka.ts");
  const { brokers, sasl, caFile, partitions, replication } = kafka;
  return openKafkaBus({
    brokers,
    sasl: sasl && { mechanism: "scram-sha-512", ...sasl },
    tls: caFile === undefined ? undefined : { ca: await readFile(caFile, "utf8") },
    topics: { partitions, replication },
    service,
    log,
  });
}

async function openState({ redis, databaseUrl }: PlatformConfig, service: string, log: Logger): Promise<State> {
  if (redis === undefined) {
    const { openPostgresState } = await import("./state/postgres.ts");
    return openPostgresState({ url: databaseUrl, log });
  }
  const { openRedisState } = await import("./state/redis.ts");
  const { url, caFile, sentinels, cluster } = redis;
  return openRedisState({
    url,
    cluster,
    ...(sentinels && { sentinels }),
    ...(caFile !== undefined && { tls: { ca: await readFile(caFile, "utf8") } }),
    service,
    log,
  });
}
