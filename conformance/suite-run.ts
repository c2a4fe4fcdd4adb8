/** One run of the suite in one mode, bounded, and what it counted. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";

export interface SuiteMode {
  /** Names the files of its claims and of its known failures. */
  readonly name: "server" | "client" | "gateway";
  /** The suite's own mode: which side is under test. */
  readonly side: "server" | "client";
  /** The program under test, beside this file. */
  readonly program: string;
}

export interface SuiteCount {
  readonly passed: number;
  /** Those that could not be run among them. */
  readonly failed: number;
  readonly known_failing: number;
}

/** The suite has no timeout of its own: a call that hangs would hang it for ever. */
const TIMEOUT_MS = 600_000;

/** @param output what it printed, every failure with its reason. @throws Error where it did not come to an end. */
export async function runSuite(suite: string, mode: SuiteMode, output: string): Promise<SuiteCount> {
  const folder = import.meta.dirname;
  const args = ["--mode", mode.side, "--conf", join(folder, `${mode.name}.yaml`)];
  args.push("--known-failing", `@${join(folder, `known-failing-${mode.name}.txt`)}`, "--max-servers", "2");
  args.push("--", process.execPath, join(folder, mode.program));
  // A group of its own: whatever it started ends with it.
  const child = spawn(suite, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const file = createWriteStream(output);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      file.write(chunk);
    });
  }
  const end = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, TIMEOUT_MS);
  process.once("exit", end);
  const [code, signal] = await once(child, "close");
  clearTimeout(timer);
  process.off("exit", end);
  file.end();
  const count = countOf(text);
  if (count === undefined || (code !== 0 && count.failed === 0)) {
    const how = late ? `did not end within ${TIMEOUT_MS} ms` : `ended with ${signal ?? code} and counted nothing`;
    throw new Error(`the suite ${how}; ${output} has its words`);
  }
  return count;
}

/** From its last lines: "12 passed, 3 failed", and what follows. */
export function countOf(text: string): SuiteCount | undefined {
  const counted = /^(\d+) passed, (\d+) failed$/m.exec(text);
  if (counted === null) return undefined;
  const notRun = Number(/^Another (\d+) could not be run/m.exec(text)?.[1] ?? 0);
  const known = Number(/^\(Another (\d+) failed as expected/m.exec(text)?.[1] ?? 0);
  return { passed: Number(counted[1]), failed: Number(counted[2]) + notRun, known_failing: known };
}
