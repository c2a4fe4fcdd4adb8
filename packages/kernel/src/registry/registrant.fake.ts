/** A process that registers an instance and stays until it is killed. Arguments: a driver and a registration, as JSON. */
import type { DriverSpec } from "@switchboard/testkit/law";
import { pino } from "pino";
import type { Registration, Registry } from "./registry.ts";

const [driver, registration] = process.argv.slice(2).map((text) => JSON.parse(text)) as [DriverSpec, Registration];
const module = await import(driver.module);
const registry: Registry = module[driver.open]({ ...driver.options, log: pino({ level: "silent" }) });
await registry.register(registration);
process.stdout.write("registered\n");
