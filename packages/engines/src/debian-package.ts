/**
 * Programs from Debian's archive, extracted into a folder. Changes nothing on the system and needs no rights: apt works on
 * lists and a cache of its own, and no package's scripts are run.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { isRunning } from "./stop-process.ts";

const run = promisify(execFile);

export interface DebianPackages {
  readonly packages: readonly string[];
  /** Debian's codename, from the system's own mirror: "bullseye". Default: the suites that the system itself uses. */
  readonly suite?: string;
  /** The folder that becomes the root of what is extracted; replaced where it holds something else. */
  readonly into: string;
}

const TIMEOUT_MS = 300_000;
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Written last, so that a folder which has it is complete. */
const RECORD = ".installed.json";

/**
 * Downloads the packages, with those that they depend on and this system lacks, and extracts them. What is there already
 * is used again. @throws where apt is missing or has no such package.
 */
export async function installDebianPackages({ packages, suite, into }: DebianPackages): Promise<void> {
  const folder = resolve(into);
  const wanted = JSON.stringify({ packages, suite });
  if (await isInstalled(folder, wanted)) return;
  await mkdir(dirname(folder), { recursive: true });
  await removeUnfinished(folder);
  const work = `${folder}.unfinished-${process.pid}`;
  await rm(work, { recursive: true, force: true });
  try {
    const root = join(work, "root");
    await mkdir(root, { recursive: true });
    const names = packages.join(", ");
    try {
      for (const file of await download(work, packages, suite)) await run("dpkg-deb", ["-x", file, root]);
    } catch (cause) {
      throw new Error(`${names} cannot be installed: ${reasonOf(cause)}`, { cause });
    }
    await writeFile(join(root, RECORD), wanted);
    // Another process may have been faster: then its folder is as good.
    if (await isInstalled(folder, wanted)) return;
    await rm(folder, { recursive: true, force: true });
    await rename(root, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function isInstalled(folder: string, wanted: string): Promise<boolean> {
  return (await readFile(join(folder, RECORD), "utf8").catch(() => "")) === wanted;
}

/** What processes left that died on the way. */
async function removeUnfinished(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.unfinished-`;
  for (const name of await readdir(dirname(folder))) {
    if (!name.startsWith(prefix) || (await isRunning(Number(name.slice(prefix.length)), "node"))) continue;
    await rm(join(dirname(folder), name), { recursive: true, force: true });
  }
}

/** Resolves with the .deb files. */
async function download(work: string, packages: readonly string[], suite: string | undefined): Promise<string[]> {
  const archives = join(work, "cache/archives");
  await mkdir(join(archives, "partial"), { recursive: true });
  await mkdir(join(work, "lists/partial"), { recursive: true });
  const configuration = join(work, "apt.conf");
  await writeFile(configuration, aptConfiguration(work));
  const sources: string[] = [];
  if (suite !== undefined) {
    const list = join(work, "sources.list");
    await writeFile(list, await sourceOf(suite));
    sources.push("-o", `Dir::Etc::SourceList=${list}`, "-o", "Dir::Etc::SourceParts=/dev/null");
  }
  const apt = (...args: string[]) => aptGet(["-c", configuration, ...sources, ...args]);
  await apt("-qq", "--error-on=any", "update");
  // The system's own list of installed packages says what else is needed.
  await apt("-qq", "--yes", "--no-install-recommends", "--download-only", "install", ...packages);
  const files = (await readdir(archives)).filter((name) => name.endsWith(".deb"));
  if (files.length === 0) throw new Error("the system says that it has them already; put their programs on PATH");
  return files.map((name) => join(archives, name));
}

/** `#clear` drops hooks of the system's configuration, which would act on the system. */
function aptConfiguration(work: string): string {
  return `
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
Dir::State::Lists "${work}/lists";
Dir::Cache "${work}/cache";
Dir::Cache::Archives "archives/";
Debug::NoLocking "true";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
`;
}

/** A line of sources.list: the mirror that serves the system's own suite serves the others too. */
async function sourceOf(suite: string): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const codename = /^VERSION_CODENAME="?([\w-]+)/m.exec(release)?.[1] ?? "";
  const { stdout } = await aptGet(["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]);
  const mirror = stdout.split("\n").find((line) => line.startsWith(`${codename} `));
  if (mirror === undefined)
    throw new Error(`no source of apt in /etc/apt serves the suite "${codename}" of this system`);
  const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
  return `deb ${signed}${mirror.slice(codename.length + 1)} ${suite} main\n`;
}

function aptGet(args: readonly string[]) {
  return run("apt-get", args, { timeout: TIMEOUT_MS });
}

function reasonOf(error: unknown): string {
  const { code, path, stderr, message } = error as { code?: unknown; path?: string; stderr?: string; message: string };
  if (code === "ENOENT" && path !== undefined) {
    return `${path} is not on this system. Put the program on PATH, or run the engine in a container`;
  }
  return stderr?.trim() || message;
}
