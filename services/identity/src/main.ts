/** The process of Identity. */
import { runService } from "@switchboard/kernel/run-service";
import { createIdentityService } from "./service.ts";

await runService(
  {
    name: "identity",
    version: "0.1.0",
    settings: {},
    migrations: new URL("../migrations/", import.meta.url),
    create: createIdentityService,
  },
  process.env,
);
