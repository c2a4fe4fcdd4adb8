/** The only file that names drivers: opens what the settings choose, and loads nothing else. */
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
  const state = stack.use(await openState(config, log));
  return { registry, bus, state };
}

async function openRegistry(config: PlatformConfig, log: Logger): Promise<Registry> {
  switch (config.registry) {
    case "postgres": {
      const { openPostgresRegistry } = await import("./registry/postgres.ts");
      return openPostgresRegistry({ url: config.databaseUrl, log });
    }
  }
}

async function openBus(config: PlatformConfig, service: string, log: Logger): Promise<Bus> {
  switch (config.bus) {
    case "postgres": {
      const { openPostgresBus } = await import("./bus/postgres.ts");
      return openPostgresBus({ url: config.databaseUrl, service, log });
    }
  }
}

async function openState(config: PlatformConfig, log: Logger): Promise<State> {
  switch (config.state) {
    case "postgres": {
      const { openPostgresState } = await import("./state/postgres.ts");
      return openPostgresState({ url: config.databaseUrl, log });
    }
  }
}
