/**
 * Lets one supervisor at a time into a folder. A lock is the file `supervisor.lock.N` of the highest N, with its holder's
 * process id in it; where that holder is no more, the next one takes N + 1. Nobody removes the highest one, so that of any
 * number who come at once, over a lock that was left too, one gets in: making a file is the step that only one can do.
 */
import { randomUUID } from "node:crypto";
import { link, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "@switchboard/engines/stop-process";

export interface FolderLock {
  /** Lets the next one in at once, while this process still runs. */
  release(): Promise<void>;
}

const NAME = /^supervisor\.lock\.(\d{1,15})$/;

/** The lock; or the process id of the supervisor that has it. */
export async function lockFolder(folder: string): Promise<FolderLock | number> {
  const file = (number: number) => join(folder, `supervisor.lock.${number}`);
  /** Written beside and then linked: nobody ever reads a lock without its process id. */
  const written = join(folder, `supervisor.lock.new-${randomUUID()}`);
  const write = (pid: number) => writeFile(written, `${pid}\n`, { mode: 0o600 });
  await write(process.pid);
  try {
    for (;;) {
      const last = (await numbers(folder)).at(-1) ?? 0;
      const holder = last === 0 ? 0 : await readHolder(file(last));
      if (holder === undefined) continue;
      // Ids are used again, in containers the very same one: another holder of our own id is no more.
      if (holder !== process.pid && (await isRunning(holder, "supervisor"))) return holder;
      const own = last + 1;
      if (!(await made(written, file(own)))) continue;
      const now = await numbers(folder);
      // A folder that changes while it is listed may hide a file: then a higher one has come.
      if (now.at(-1) !== own) {
        await rm(file(own), { force: true });
        continue;
      }
      await Promise.all(now.slice(0, -1).map((number) => rm(file(number), { force: true })));
      return {
        async release() {
          await write(0);
          await rename(written, file(own));
        },
      };
    }
  } finally {
    await rm(written, { force: true });
  }
}

/** Ascending. */
async function numbers(folder: string): Promise<number[]> {
  const found = (await readdir(folder)).flatMap((name) => NAME.exec(name)?.[1] ?? []);
  return found.map(Number).sort((one, other) => one - other);
}

/** 0: nobody; undefined: the file is no more. */
async function readHolder(file: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(file, "utf8"), 10) || 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether the file was not there and is now. */
async function made(written: string, file: string): Promise<boolean> {
  try {
    await link(written, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
