/** One process of the platform: started, its output kept, started again when it dies, asked to stop. */
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { stopProcess } from "@switchboard/engines/stop-process";
import type { Terminal } from "./terminal.ts";

export interface ManagedProcessOptions {
  readonly name: string;
  readonly main: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly terminal: Terminal;
  /** Called with every new process id. */
  readonly onStart: () => void;
  /** Called when it cannot be kept alive: it never came up, or its settings cannot be used. */
  readonly onHopeless: (why: string) => void;
}

/** What a process tells its parent once its ports are open; see kernel/run-service.ts. */
interface Listening {
  readonly type: "listening";
  readonly telemetryPort: number;
}

/** kafkajs sets a timer into the past once in each process, which is harmless. */
export const QUIET = "--disable-warning=TimeoutNegativeWarning";
/** Settings that cannot be used: sysexits.h's EX_CONFIG. Starting again would not help. */
const EXIT_CONFIG = 78;
const STARTS_WITHOUT_LISTENING = 5;

export class ManagedProcess {
  readonly #options: ManagedProcessOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #telemetryPort = 0;
  #failedStarts = 0;
  #stopping = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ManagedProcessOptions) {
    this.#options = options;
    this.#log = createWriteStream(options.logFile, { flags: "a", mode: 0o600 });
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const { name, main, environment, terminal, onStart } = this.#options;
    const child = spawn(process.execPath, [QUIET, main], {
      env: environment,
      // Its own group: Ctrl-C at the terminal reaches the supervisor alone, which stops everything in order.
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#child = child;
    child.on("message", (message: Listening) => {
      if (message.type !== "listening") return;
      this.#telemetryPort = message.telemetryPort;
      this.#failedStarts = 0;
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface(stream).on("line", (line) => this.#write(line));
    }
    child.on("error", (error) => terminal.line(`${name} could not be started: ${error.message}`));
    child.on("exit", (code, signal) => this.#ended(code, signal));
    onStart();
  }

  /** What it lacks; empty: ready. */
  async problems(): Promise<readonly string[]> {
    if (this.#telemetryPort === 0) return ["is starting"];
    try {
      const response = await fetch(`http://127.0.0.1:${this.#telemetryPort}/readyz`, {
        signal: AbortSignal.timeout(2_000),
      });
      const text = await response.text();
      return response.ok ? [] : text.trim().split("\n");
    } catch {
      return ["does not answer"];
    }
  }

  /** SIGTERM; it drains, and is killed after 30 s. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const pid = this.#child?.pid;
    if (pid !== undefined) await stopProcess(pid, "SIGTERM", 30_000);
    this.#log.end();
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    const { name, terminal, logFile, onHopeless } = this.#options;
    this.#child = undefined;
    this.#telemetryPort = 0;
    if (this.#stopping) return;
    this.#failedStarts += 1;
    const hopeless =
      code === EXIT_CONFIG
        ? `${name} cannot be started with these settings`
        : this.#failedStarts >= STARTS_WITHOUT_LISTENING && `${name} does not start; its log is ${logFile}`;
    if (hopeless) {
      onHopeless(hopeless);
      return;
    }
    const delayMs = 100 * 2 ** (this.#failedStarts - 1);
    terminal.line(`${name} ended (${signal ?? `code ${code}`}); it is started again`);
    this.#timer = setTimeout(() => this.start(), delayMs);
  }

  #write(line: string): void {
    this.#log.write(`${line}\n`);
    this.#options.terminal.logLine(this.name, line);
  }
}
