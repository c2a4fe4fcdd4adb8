/**
 * A server's process: detached, so that the signals of a terminal do not reach it, with its output in a file, and taken
 * back from a process that died without stopping it. Knows no engine.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { InstalledProgram } from "./installed-program.ts";
import { isRunning, stopProcess } from "./stop-process.ts";

export interface EngineProcessOptions {
  /** For people: "Redis". */
  readonly name: string;
  readonly program: InstalledProgram;
  readonly args: readonly string[];
  readonly logFile: string;
  /** Where its id is kept, so that the next start on the same folder finds it. */
  readonly pidFile: string;
}

export interface EngineProcess {
  readonly pid: number;
  /** Aborted when the process has ended, asked or not. */
  readonly ended: AbortSignal;
  /** Resolves with what is to be told when it ends without having been asked to. */
  readonly died: Promise<string>;
  /** SIGTERM, and SIGKILL after 15 s; resolves when the process is gone. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would; resolves when the process is gone. */
  kill(): Promise<void>;
}

/** Starts the program; one that an earlier process left running with the same `pidFile` is stopped first. */
export async function startProcess(options: EngineProcessOptions): Promise<EngineProcess> {
  const { name, program, args, logFile, pidFile } = options;
  await stopOrphan(program, pidFile);
  const log = await open(logFile, "a");
  const child = spawn(program.command, args, {
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
    ...(program.libraries.length > 0 && { env: { LD_LIBRARY_PATH: program.libraries.join(":") } }),
  });
  const exit = once(child, "exit");
  exit.catch(() => {});
  try {
    await Promise.race([once(child, "spawn"), once(child, "error").then(([error]) => Promise.reject(error))]);
  } finally {
    await log.close();
  }
  child.unref();
  const pid = child.pid as number;
  await writeFile(pidFile, `${pid}\n`);
  const ended = new AbortController();
  let asked = false;
  const died = exit.then(([code, signal]) => {
    ended.abort();
    return asked ? new Promise<string>(() => {}) : `${name} ended (${signal ?? `code ${code}`})`;
  });
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    asked = true;
    if (!ended.signal.aborted) await stopProcess(pid, signal);
    await rm(pidFile, { force: true });
  };
  return { pid, ended: ended.signal, died, stop: () => end("SIGTERM"), kill: () => end("SIGKILL") };
}

/** Repeats the attempt until it succeeds. @throws its last failure when the process ended or the time is over. */
export async function untilReady(process: EngineProcess, attempt: () => Promise<void>): Promise<void> {
  const end = performance.now() + 30_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (process.ended.aborted || performance.now() > end) throw error;
    }
    await delay(25);
  }
}

async function stopOrphan(program: InstalledProgram, pidFile: string): Promise<void> {
  const pid = Number.parseInt(await readFile(pidFile, "utf8").catch(() => ""), 10);
  if (Number.isInteger(pid) && (await isRunning(pid, program.command))) await stopProcess(pid, "SIGTERM");
}
