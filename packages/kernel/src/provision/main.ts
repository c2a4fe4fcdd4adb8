/**
 * Provisions the engines: `SWITCHBOARD_DATABASE_ADMIN_URL` says which database and, where they are set,
 * `SWITCHBOARD_CONSUL_URL` and `SWITCHBOARD_REDIS_URL` what else; a manifest on standard input says for whom. Ends with
 * code 0 and a line of JSON on standard output, or with code 1 and the reason on standard error.
 */
import { text } from "node:stream/consumers";
import { z } from "zod";
import { consulSettings, redisSettings } from "../config/engine-settings.ts";
import { readSettings } from "../config/read-settings.ts";
import { readManifest } from "./manifest.ts";
import { provision } from "./provision.ts";

try {
  const {
    SWITCHBOARD_DATABASE_ADMIN_URL: databaseUrl,
    SWITCHBOARD_CONSUL_URL: consulUrl,
    SWITCHBOARD_CONSUL_TOKEN: managementToken,
    SWITCHBOARD_REDIS_URL: redisUrl,
  } = readSettings(
    {
      SWITCHBOARD_DATABASE_ADMIN_URL: z.url({ protocol: /^postgres(ql)?$/, error: "must be a postgres:// URL" }),
      SWITCHBOARD_CONSUL_URL: consulSettings.SWITCHBOARD_CONSUL_URL,
      SWITCHBOARD_CONSUL_TOKEN: consulSettings.SWITCHBOARD_CONSUL_TOKEN,
      SWITCHBOARD_REDIS_URL: redisSettings.SWITCHBOARD_REDIS_URL,
    },
    process.env,
  );
  const services = readManifest(await text(process.stdin));
  await provision(databaseUrl, services);
  if (consulUrl !== undefined) {
    const { provisionConsul } = await import("../registry/consul/provision.ts");
    const entries = services.map(({ name, packages, consulToken: token = "" }) => ({ name, packages, token }));
    await provisionConsul({ url: consulUrl, managementToken, services: entries });
  }
  if (redisUrl !== undefined) {
    const { provisionRedis } = await import("../state/redis/provision.ts");
    const entries = services.map(({ name, redisPassword: password = "" }) => ({ name, password }));
    await provisionRedis({ url: redisUrl, services: entries });
  }
  const done = {
    level: "info",
    time: new Date().toISOString(),
    msg: "provisioned",
    services: services.map((s) => s.name),
  };
  process.stdout.write(`${JSON.stringify(done)}\n`);
} catch (error) {
  process.stderr.write(`provision: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
