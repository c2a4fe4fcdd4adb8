/** Which engines a platform runs on: the user's own by settings, or those that `npm run engines` left running. */
import { engineHome } from "@switchboard/engines/engine-home";
import type { EngineAddresses } from "@switchboard/engines/engine-set";
import { runningEngines } from "./running-engines.ts";
import type { Settings } from "./settings.ts";

/** Undefined, where it is not asked for: PostgreSQL does its work. */
export interface PlatformEngines {
  /** Undefined: the embedded one, which the supervisor itself starts. */
  readonly databaseUrl: string | undefined;
  readonly consul: { readonly url: string; readonly token: string | undefined } | undefined;
  readonly kafkaBrokers: string | undefined;
  readonly redisUrl: string | undefined;
}

/** @throws Error that names every engine that is lacking, and the mend. */
export async function platformEngines(settings: Settings, environment: NodeJS.ProcessEnv): Promise<PlatformEngines> {
  const { bus, profile, registry, state } = settings;
  const running = (await runningEngines(engineHome(environment)))?.addresses;
  const lacking: string[] = [];
  const from = (setting: string, given: string | undefined, kept: keyof EngineAddresses): string => {
    const found = given ?? running?.[kept];
    if (found === undefined) lacking.push(setting);
    return found ?? "";
  };
  const engines: PlatformEngines = {
    databaseUrl:
      profile === "engines"
        ? from("SWITCHBOARD_DATABASE_URL", settings.databaseUrl, "databaseUrl")
        : settings.databaseUrl,
    consul:
      registry === "consul"
        ? {
            url: from("SWITCHBOARD_CONSUL_URL", settings.consulUrl, "consulUrl"),
            token: settings.consulUrl === undefined ? running?.consulToken : settings.consulToken,
          }
        : undefined,
    kafkaBrokers:
      bus === "kafka" ? from("SWITCHBOARD_KAFKA_BROKERS", settings.kafkaBrokers, "kafkaBrokers") : undefined,
    redisUrl: state === "redis" ? from("SWITCHBOARD_REDIS_URL", settings.redisUrl, "redisUrl") : undefined,
  };
  if (lacking.length === 0) return engines;
  throw new Error(`no engines run: npm run engines is the first step, or set ${lacking.join(", ")}`);
}
