/** The process of Auth. */
import { runService } from "@switchboard/kernel/run-service";
import { authConfig, authSettings } from "./config.ts";
import { createAuthService } from "./service.ts";

await runService(
  {
    name: "auth",
    version: "0.1.0",
    settings: authSettings,
    migrations: new URL("../migrations/", import.meta.url),
    create: (deps, settings) => createAuthService(deps, authConfig(settings)),
  },
  process.env,
);
