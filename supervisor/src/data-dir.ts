/**
 * The folder that a platform keeps its state in: the lock that lets one supervisor in, the secrets it made, and what it
 * runs. Files in it are for this user only.
 */
import { createHmac, randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isRunning, stopProcess } from "@switchboard/engines/stop-process";
import { type FolderLock, lockFolder } from "./folder-lock.ts";

/** Made at the first start, kept for ever. */
export interface Secrets {
  /** Passwords of database roles and services are derived from it. */
  readonly master: string;
  /** The first administrator's generated password, until the administrator is made. */
  readonly adminPassword?: string;
  readonly adminMade: boolean;
}

/** What a running platform tells `npm run service`. */
export interface RunningPlatform {
  readonly supervisorPid: number;
  /** Process ids by service. */
  readonly processes: Readonly<Record<string, number>>;
  /** The environment of each service, without the first administrator's e-mail and password. */
  readonly environments: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export class DataDir {
  readonly path: string;
  #lock: FolderLock | undefined;
  #written: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /** Takes the folder for this process, and ends what a killed supervisor left. @throws where another one runs. */
  async take(): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o755 });
    const lock = await lockFolder(this.path);
    if (typeof lock === "number") {
      throw new Error(
        `a platform runs on ${this.path} already (process ${lock}): stop it, or set SWITCHBOARD_DATA_DIR and SWITCHBOARD_PORT for a second one`,
      );
    }
    this.#lock = lock;
    const left = await this.running();
    if (left === undefined) return;
    const alive = await Promise.all(
      Object.values(left.processes).map(async (pid) => ((await isRunning(pid, "main.ts")) ? [pid] : [])),
    );
    await Promise.all(alive.flat().map((pid) => stopProcess(pid, "SIGTERM", 5_000)));
  }

  async running(): Promise<RunningPlatform | undefined> {
    return await this.#read("running.json");
  }

  async setRunning(platform: RunningPlatform): Promise<void> {
    const environments = Object.entries(platform.environments).map(([name, environment]) => {
      // The first instance makes the administrator; nobody else has to know the password.
      const { SWITCHBOARD_ADMIN_EMAIL: _email, SWITCHBOARD_ADMIN_PASSWORD: _password, ...rest } = environment;
      return [name, rest] as const;
    });
    await this.#write("running.json", { ...platform, environments: Object.fromEntries(environments) });
  }

  async release(): Promise<void> {
    await rm(join(this.path, "running.json"), { force: true });
    await this.#lock?.release();
  }

  async secrets(): Promise<Secrets> {
    const kept = await this.#read<Secrets>("secrets.json");
    if (kept) return kept;
    const made = { master: randomBytes(32).toString("base64url"), adminMade: false };
    await this.setSecrets(made);
    return made;
  }

  async setSecrets(secrets: Secrets): Promise<void> {
    await this.#write("secrets.json", secrets);
  }

  async #read<T>(name: string): Promise<T | undefined> {
    const text = await readFile(join(this.path, name), "utf8").catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  /** Whole or not at all, and one after another: a reader never sees half a file, and the last one stays. */
  #write(name: string, content: object): Promise<void> {
    const file = join(this.path, name);
    const text = `${JSON.stringify(content, null, 2)}\n`;
    this.#written = this.#written.then(async () => {
      await writeFile(`${file}.new`, text, { mode: 0o600 });
      await rename(`${file}.new`, file);
    });
    return this.#written;
  }
}

/** One secret for each purpose out of the master secret. */
export function derive(master: string, purpose: string): string {
  return createHmac("sha256", master).update(purpose).digest("base64url");
}
