/** A program of an engine on this machine: where it is, and the libraries that came with it. It installs nothing. */
import { execFile } from "node:child_process";
import { access, constants, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface InstalledProgram {
  /** A path, or a name that PATH finds. */
  readonly command: string;
  /** Folders of shared libraries that the system does not have. */
  readonly libraries: readonly string[];
}

/** Below the root that a package was extracted into, or else on PATH. Undefined: neither. */
export async function findProgram(program: string, root: string): Promise<InstalledProgram | undefined> {
  const own = join(root, "usr/bin", program);
  if (await succeeds(access(own, constants.X_OK))) return { command: own, libraries: await librariesOf(root) };
  return (await succeeds(run(program, ["--version"]))) ? { command: program, libraries: [] } : undefined;
}

function succeeds(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    () => false,
  );
}

/** Debian's multiarch folders: usr/lib/x86_64-linux-gnu. */
async function librariesOf(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const parent of [join(root, "usr/lib"), join(root, "lib")]) {
    const names = await readdir(parent).catch(() => []);
    found.push(...names.filter((name) => name.includes("-linux-")).map((name) => join(parent, name)));
  }
  return found;
}
