/** Ending a process by its id, politely first. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Whether the process is there, is no zombie, and its command has `name` in it: ids are used again. */
export async function isRunning(pid: number, name = ""): Promise<boolean> {
  try {
    process.kill(pid, 0);
    const { state, command } = process.platform === "linux" ? await fromProc(pid) : await fromPs(pid);
    return state !== "Z" && command.includes(name);
  } catch {
    return false;
  }
}

async function fromProc(pid: number) {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8");
  return { state: /^State:\s+(\w)/m.exec(status)?.[1], command };
}

async function fromPs(pid: number) {
  const { stdout } = await run("ps", ["-o", "stat=,command=", "-p", String(pid)]);
  return { state: stdout.trimStart()[0], command: stdout };
}

/** Sends the signal, waits up to `graceMs` (default 15 s), then kills; resolves when the process is gone. */
export async function stopProcess(pid: number, signal: NodeJS.Signals, graceMs = 15_000): Promise<void> {
  if (!send(pid, signal)) return;
  const end = performance.now() + graceMs;
  while (await isRunning(pid)) {
    if (performance.now() > end) send(pid, "SIGKILL");
    await delay(20);
  }
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
