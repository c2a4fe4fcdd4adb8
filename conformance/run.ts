/**
 * `npm run conformance`: the official Connect suite against the server, the channel, and a server behind the gateway.
 * `-- --json FILE` writes what was counted, `-- --only server,client` narrows it.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { installSuite, SUITE, SUITE_VERSION } from "./install.ts";
import { runSuite, type SuiteMode } from "./suite-run.ts";

const modes: readonly SuiteMode[] = [
  { name: "server", side: "server", program: "src/server-under-test.ts" },
  { name: "client", side: "client", program: "src/client-under-test.ts" },
  { name: "gateway", side: "server", program: "src/gateway-under-test.ts" },
];

const { values } = parseArgs({ options: { json: { type: "string" }, only: { type: "string" } } });
const only = values.only?.split(",") ?? modes.map(({ name }) => name);
const unknown = only.filter((name) => !modes.some((mode) => mode.name === name));
if (unknown.length > 0) throw new Error(`there is no mode ${unknown.join(", ")}; there are: server, client, gateway`);

// Ends what was started, too: it is in a process group of its own.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const suite = await installSuite();
if (suite === undefined) {
  const required = process.env.REQUIRE_ENGINES === "all";
  console.error(
    `${required ? "FAIL" : "SKIPPED"} conformance: there is no Go to build ${SUITE}@${SUITE_VERSION} with; install Go 1.26 or newer`,
  );
  process.exit(required ? 1 : 0);
}

// Failures in full are too many for a terminal.
const outputs = resolve(import.meta.dirname, "../.cache/conformance");
mkdirSync(outputs, { recursive: true });
const rows = [];
for (const mode of modes.filter(({ name }) => only.includes(name))) {
  const started = performance.now();
  const output = join(outputs, `${mode.name}.log`);
  const count = await runSuite(suite, mode, output);
  const seconds = ((performance.now() - started) / 1_000).toFixed(0);
  const line = `${mode.name}: ${count.passed} passed, ${count.failed} failed, ${count.known_failing} known to fail (${seconds} s)`;
  console.log(count.failed === 0 ? `ok   ${line}` : `FAIL ${line}; why: ${output}`);
  rows.push({ mode: mode.name, ...count });
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
process.exitCode = rows.some(({ failed }) => failed > 0) ? 1 : 0;
