/** The process of Authz. */
import { runService } from "@switchboard/kernel/run-service";
import { createAuthzService } from "./service.ts";

await runService(
  {
    name: "authz",
    version: "0.1.0",
    settings: {},
    migrations: new URL("../migrations/", import.meta.url),
    create: createAuthzService,
  },
  process.env,
);
