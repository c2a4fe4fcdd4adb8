/** A supervisor that does nothing but take and release a folder, when it is told to on its input; it says how it went. */
import { createInterface } from "node:readline";
import { DataDir } from "./data-dir.ts";

const dataDir = new DataDir(process.argv[2] ?? "");
process.stdout.write("here\n");
for await (const line of createInterface(process.stdin)) {
  try {
    await (line === "take" ? dataDir.take() : dataDir.release());
    process.stdout.write("done\n");
  } catch (error) {
    process.stdout.write(`${(error as Error).message}\n`);
  }
}
