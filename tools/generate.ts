/** `npm run generate`: TypeScript and the descriptor set (which has the positions of every method) out of `proto/`. */
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";

const cwd = resolve(import.meta.dirname, "..");
const buf = (...args: readonly string[]) => execFileSync("buf", args, { cwd, stdio: "inherit" });
buf("format", "--write", "proto");
buf("generate");
buf("build", "--as-file-descriptor-set", "--output", "gen/switchboard.binpb");
