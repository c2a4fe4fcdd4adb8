/** A process that takes a lock and holds it until it is killed. Arguments: a driver as JSON, the key, the lock's time. */
import type { DriverSpec } from "@switchboard/testkit/law";
import { pino } from "pino";
import type { State } from "./state.ts";

const [spec = "", key = "", ttlMs] = process.argv.slice(2);
const driver: DriverSpec = JSON.parse(spec);
const module = await import(driver.module);
const state: State = module[driver.open]({ ...driver.options, log: pino({ level: "silent" }) });
const lock = await state.lock(key, Number(ttlMs));
process.stdout.write(`${lock?.fence}\n`);
