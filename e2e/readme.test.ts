/** The README's commands, run as they stand there: every fenced block marked `sh run`, in order, in one shell. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { ADMIN, startTestPlatform } from "@switchboard/testkit/platform";

const root = resolve(import.meta.dirname, "..");
const has = (program: string) => spawnSync(program, ["--version"]).error === undefined;

test("the first quarter of an hour works as the README tells it", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/^```sh run(?: if (\S+))?\n(.*?)^```$/gms)];
  assert.ok(blocks.length >= 7, "the blocks are found");
  const script = blocks.flatMap(([, needed, block = ""]) => (needed === undefined || has(needed) ? [block] : []));

  await using platform = await startTestPlatform();
  const port = new URL(platform.url).port;
  const shell = spawn(
    "bash",
    ["-euo", "pipefail", "-c", script.join("").replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`)],
    {
      cwd: root,
      env: { ...process.env, SWITCHBOARD_ADMIN_EMAIL: ADMIN.email, SWITCHBOARD_ADMIN_PASSWORD: ADMIN.password },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const [stdout, stderr, [code]] = await Promise.all([text(shell.stdout), text(shell.stderr), once(shell, "exit")]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /"displayName": ?"Ada"/);
  assert.match(stderr, /"code": ?"unauthenticated"/);
  assert.match(stderr, /"code": ?"permission_denied"/);
  assert.match(stdout, /AuthService\/SignUp/);
  assert.match(stdout, /AuthzService\/GrantRole/);
  assert.match(stdout, /"ok": ?true/);
});
