/** `npm run generate`: TypeScript and the descriptor set (which has the positions of every method) out of `proto/`; the README's table of settings. */
import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { resolve } from "node:path";

const cwd = resolve(import.meta.dirname, "..");
const buf = (...args: readonly string[]) => execFileSync("buf", args, { cwd, stdio: "inherit" });
for (const module of ["proto", ...globSync("examples/*/proto", { cwd })]) buf("format", module, "--write");
buf("generate");
for (const template of globSync("examples/*/buf.gen.yaml", { cwd })) buf("generate", "--template", template);
buf("build", "--as-file-descriptor-set", "--output", "gen/switchboard.binpb");
execFileSync(process.execPath, ["tools/settings-table.ts"], { cwd, stdio: "inherit" });
