/**
 * The official suite's program, built from its Go module into an ignored folder. Its version is part of the folder's name,
 * so that another version is another program. `gen/` is made of that module's protos (generate.ts).
 */
import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export const SUITE = "connectrpc.com/conformance/cmd/connectconformance";
export const SUITE_VERSION = "v1.0.7";

const folder = resolve(import.meta.dirname, "../.cache/conformance", SUITE_VERSION);
/** A first build downloads and compiles some 30 modules: about half a minute. */
const BUILD_TIMEOUT_MS = 600_000;

/** The folder of the suite's protos, in the module cache. @throws Error where there is no Go. */
export async function suiteProtos(): Promise<string> {
  const { stdout } = await run("go", ["mod", "download", "-json", `connectrpc.com/conformance@${SUITE_VERSION}`]);
  return join(JSON.parse(stdout).Dir, "proto");
}

/** The program's path; undefined: it was never built, and there is no Go to build it with. @throws Error of the build. */
export async function installSuite(): Promise<string | undefined> {
  const program = join(folder, process.platform === "win32" ? "connectconformance.exe" : "connectconformance");
  if (await succeeds(access(program))) return program;
  if (!(await succeeds(run("go", ["version"])))) return undefined;
  await run("go", ["install", `${SUITE}@${SUITE_VERSION}`], {
    env: { ...process.env, GOBIN: folder, GOFLAGS: "" },
    timeout: BUILD_TIMEOUT_MS,
  });
  return program;
}

function succeeds(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    () => false,
  );
}
