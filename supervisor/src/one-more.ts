/** `npm run service -- identity`: one more instance of a service, beside those of the running platform. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { isRunning } from "@switchboard/engines/stop-process";
import { DataDir } from "./data-dir.ts";
import { QUIET } from "./managed-process.ts";
import { readManifests } from "./manifest.ts";
import { readSettings } from "./settings.ts";

const root = resolve(import.meta.dirname, "../..");
const [name = "", ...rest] = process.argv.slice(2);

try {
  const settings = readSettings(root, process.env, rest);
  const manifests = await readManifests(root, settings.extraServices);
  const manifest = manifests.find((candidate) => candidate.name === name);
  if (manifest === undefined) {
    throw new Error(
      `say which service: npm run service -- ${manifests.map((candidate) => candidate.name).join(" | ")}`,
    );
  }
  const running = await new DataDir(settings.dataDir).running();
  if (running === undefined || !(await isRunning(running.supervisorPid))) {
    throw new Error(`no platform runs on ${settings.dataDir}: npm start is the first step`);
  }
  // Ports that the first instance has are not for a second one.
  const environment = { ...running.environments[name], SWITCHBOARD_PORT: "0", SWITCHBOARD_TELEMETRY_PORT: "0" };
  const child = spawn(process.execPath, [QUIET, manifest.main], {
    env: environment,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill("SIGTERM"));
  child.on("exit", (code) => {
    process.exitCode = code ?? 1;
  });
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
