/**
 * `npm run engines`: installs Consul, Kafka and Redis natively and leaves them running beside PostgreSQL, for
 * `npm start -- --profile engines`. `-- stop` ends them; their data stay in the folder that they are installed in.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { engineHome } from "@switchboard/engines/engine-home";
import { installEngines, startEngines } from "@switchboard/engines/engine-set";
import { keepRunning, runningEngines, stopEngines } from "./running-engines.ts";

const started = performance.now();
const home = engineHome(process.env);
const [command = "start"] = process.argv.slice(2);

try {
  await mkdir(home, { recursive: true });
  if (command === "stop") {
    await stopEngines(home);
  } else if (command === "install") {
    await installEngines(home);
  } else if (command === "start") {
    let running = await runningEngines(home);
    if (running === undefined) {
      // Those that are left of an earlier start.
      await stopEngines(home);
      await installEngines(home);
      running = await keepRunning(home, await startEngines({ home, dataDir: join(home, "data") }));
    }
    const { addresses } = running;
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    process.stdout.write(`engines run (after ${seconds} s; npm run engines -- stop ends them):
  PostgreSQL ${new URL(addresses.databaseUrl).host}
  Consul     ${addresses.consulUrl}
  Kafka      ${addresses.kafkaBrokers}
  Redis      ${new URL(addresses.redisUrl).host}
try: npm start -- --profile engines
`);
  } else {
    throw new Error(`npm run engines -- ${command} is not known; there are: start, stop, install`);
  }
  // The engines go on without this process.
  process.exit(0);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}
