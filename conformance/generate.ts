/** Makes `gen/` anew, of the suite's protos: after a change of SUITE_VERSION. What it makes is committed. */
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { suiteProtos } from "./install.ts";

const protos = await suiteProtos();
// Test suites in YAML are the suite's own business.
const unused = join(protos, "connectrpc/conformance/v1/suite.proto");
execFileSync("buf", ["generate", protos, "--template", "conformance/buf.gen.yaml", "--exclude-path", unused], {
  cwd: resolve(import.meta.dirname, ".."),
  stdio: "inherit",
});
