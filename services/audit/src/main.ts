/** The process of Audit. */
import { runService } from "@switchboard/kernel/run-service";
import { createAuditService } from "./service.ts";

await runService(
  {
    name: "audit",
    version: "0.1.0",
    settings: {},
    migrations: new URL("../migrations/", import.meta.url),
    create: createAuditService,
  },
  process.env,
);
