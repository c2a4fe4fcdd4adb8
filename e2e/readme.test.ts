/** The README's commands, run as they stand there: every fenced block marked `sh run`, in order, in one shell; and its programs. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { ADMIN, startTestPlatform } from "@switchboard/testkit/platform";
import { signUp } from "./client.ts";

const root = resolve(import.meta.dirname, "..");
const has = (program: string) => spawnSync(program, ["--version"]).error === undefined;

const readme = await readFile(join(root, "README.md"), "utf8");
const blocksOf = (language: string) =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, block = ""]) => block);

test("the program for a browser runs as the README has it", async () => {
  const program = blocksOf("ts").find((block) => block.includes("connect-web")) ?? "";
  await using platform = await startTestPlatform();
  const { token } = await signUp(platform.url, "Ada");
  const node = spawn(
    process.execPath,
    [
      "--input-type=module-typescript",
      "--eval",
      `const accessToken = ${JSON.stringify(token)};
      ${program.replace("http://127.0.0.1:8080", platform.url)}
      process.stdout.write(user?.displayName ?? "nobody");`,
    ],
    { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "pipe"] },
  );
  const [stdout, stderr] = await Promise.all([text(node.stdout), text(node.stderr), once(node, "exit")]);
  assert.equal(stdout, "Ada", stderr);
});

test("what the README shows of a service stands so in the example", async () => {
  const folder = join(root, "examples/notes");
  const sources = await Promise.all(
    ["proto/notes/v1/notes_service.proto", "src/rpc/get-note.ts"].map((file) => readFile(join(folder, file), "utf8")),
  );
  const shown = [...blocksOf("proto"), ...blocksOf("ts").filter((block) => !block.includes("connect-web"))];
  assert.equal(shown.length, 2);
  const plain = (code: string) => code.replaceAll(/\s+/g, " ").trim();
  for (const block of shown)
    assert.ok(
      sources.some((source) => plain(source).includes(plain(block))),
      block,
    );
});

test("the first quarter of an hour works as the README tells it", async () => {
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
