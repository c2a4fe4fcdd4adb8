/** A process of `auth` that begins to handle an event, says so, and never ends: to be killed. */
import { pino } from "pino";
import { openPostgresBus } from "../postgres.ts";

const [url = ""] = process.argv.slice(2);
const bus = openPostgresBus({ url, service: "auth", log: pino({ level: "silent" }) });
await bus.consume({
  group: "g",
  topics: ["identity"],
  handle([event]) {
    process.stdout.write(`${event?.key}\n`);
    return new Promise(() => {});
  },
});
