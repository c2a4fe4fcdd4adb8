/** The engines that `npm run engines` left running: where they are, and how they are ended. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EngineAddresses, EngineSet } from "@switchboard/engines/engine-set";
import { isRunning, stopProcess } from "@switchboard/engines/stop-process";

export interface RunningEngines {
  readonly addresses: EngineAddresses;
  /** Process ids by engine: "postgres", "consul", "kafka", "redis". Each name is part of its process's command. */
  readonly pids: Readonly<Record<string, number>>;
}

/** Undefined: none were started, or not all of them are there any more. */
export async function runningEngines(home: string): Promise<RunningEngines | undefined> {
  const kept = await readRecord(home);
  if (kept === undefined) return undefined;
  const alive = await Promise.all(Object.entries(kept.pids).map(([name, pid]) => isRunning(pid, name)));
  return alive.every(Boolean) ? kept : undefined;
}

export async function keepRunning(home: string, engines: EngineSet): Promise<RunningEngines> {
  const { addresses, postgres, consul, kafka, redis } = engines;
  const pids = { postgres: postgres.pid, consul: consul.pid, kafka: kafka.pid, redis: redis.pid };
  // It holds passwords.
  await writeFile(recordOf(home), `${JSON.stringify({ addresses, pids }, null, 2)}\n`, { mode: 0o600 });
  return { addresses, pids };
}

/** Resolves when none of them runs; what they stored stays. */
export async function stopEngines(home: string): Promise<void> {
  const kept = await readRecord(home);
  if (kept === undefined) return;
  await Promise.all(
    Object.entries(kept.pids).map(async ([name, pid]) => {
      if (!(await isRunning(pid, name))) return;
      // PostgreSQL waits for its clients after SIGTERM, and ends their sessions after SIGINT.
      await stopProcess(pid, name === "postgres" ? "SIGINT" : "SIGTERM");
    }),
  );
  await rm(recordOf(home), { force: true });
}

async function readRecord(home: string): Promise<RunningEngines | undefined> {
  const text = await readFile(recordOf(home), "utf8").catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

function recordOf(home: string): string {
  return join(home, "running.json");
}
