/** The process: `npm start -- --with examples/notes` runs it beside the others. */
import { runService } from "@switchboard/kernel/run-service";
import { createNotesService } from "./service.ts";

await runService(
  {
    name: "notes",
    version: "0.1.0",
    settings: {},
    migrations: new URL("../migrations/", import.meta.url),
    create: createNotesService,
  },
  process.env,
);
