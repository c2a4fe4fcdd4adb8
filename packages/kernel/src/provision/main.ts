/**
 * Provisions a database: `SWITCHBOARD_DATABASE_ADMIN_URL` says which, a manifest on standard input for whom. Ends with
 * code 0 and a line of JSON on standard output, or with code 1 and the reason on standard error.
 */
import { text } from "node:stream/consumers";
import { z } from "zod";
import { readSettings } from "../config/read-settings.ts";
import { readManifest } from "./manifest.ts";
import { provision } from "./provision.ts";

try {
  const settings = readSettings(
    { SWITCHBOARD_DATABASE_ADMIN_URL: z.url({ protocol: /^postgres(ql)?$/, error: "must be a postgres:// URL" }) },
    process.env,
  );
  const services = readManifest(await text(process.stdin));
  await provision(settings.SWITCHBOARD_DATABASE_ADMIN_URL, services);
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
