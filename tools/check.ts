/** `npm run check`: everything that can be known without running the platform. Runs all of it and writes nothing. */
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const temporary = mkdtempSync(join(tmpdir(), "switchboard-check-"));
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));

type Check = () => string | undefined;

/** Runs a program of node_modules/.bin; what it printed, where it failed. */
function program(...command: readonly string[]): Check {
  return () => {
    const [name = "", ...args] = command;
    const { status, stdout, stderr, error } = spawnSync(name, args, { cwd: root, encoding: "utf8" });
    return status === 0 ? undefined : `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`;
  };
}

const checks: Readonly<Record<string, Check>> = {
  "buf lint": program("buf", "lint"),
  "buf format": () => {
    for (const module of ["proto", ...globSync("examples/*/proto", { cwd: root })]) {
      const unformatted = program("buf", "format", module, "--diff", "--exit-code")();
      if (unformatted) return unformatted;
    }
    return undefined;
  },
  "buf breaking": program("buf", "breaking", "proto", "--against", "proto/baseline.binpb"),
  "generated code is current": () => {
    const failed =
      program("buf", "generate", "--output", temporary)() ??
      program("buf", "build", "--as-file-descriptor-set", "--output", join(temporary, "gen/switchboard.binpb"))();
    if (failed) return failed;
    const stale = differing(join(temporary, "gen"), join(root, "gen"));
    for (const template of globSync("examples/*/buf.gen.yaml", { cwd: root })) {
      const folder = join(dirname(template), "gen");
      const unreadable = program("buf", "generate", "--template", template, "--output", temporary)();
      if (unreadable) return unreadable;
      stale.push(...differing(join(temporary, folder), join(root, folder)));
    }
    return stale.length === 0 ? undefined : `run npm run generate; these differ:\n${stale.join("\n")}`;
  },
  policies: program(process.execPath, "tools/check-policies.ts"),
  biome: program("biome", "ci", "--error-on-warnings", "--colors=off", "."),
  tsc: program("tsc"),
  "turbo boundaries": program("turbo", "boundaries"),
  "lock file names no host": () =>
    /"resolved": "https?:/.test(readFileSync(join(root, "package-lock.json"), "utf8"))
      ? "package-lock.json has download addresses: install with the repository's .npmrc"
      : undefined,
};

/** Files that are in one folder only, or not the same in both; package.json is written by hand. */
function differing(made: string, committed: string): string[] {
  const files = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .filter((file) => file !== "package.json" && file !== "turbo.json");
  const all = new Set([...files(made), ...files(committed)]);
  const read = (folder: string, file: string) => {
    try {
      return readFileSync(join(folder, file), "latin1");
    } catch {
      return undefined;
    }
  };
  return [...all].filter((file) => read(made, file) !== read(committed, file)).sort();
}

let failures = 0;
for (const [name, check] of Object.entries(checks)) {
  const started = performance.now();
  const problem = check();
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`${problem === undefined ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
  if (problem === undefined) continue;
  failures += 1;
  console.log(problem.trimEnd().replaceAll(/^/gm, "     "));
}
process.exitCode = failures === 0 ? 0 : 1;
