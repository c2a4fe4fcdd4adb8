import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { installDebianPackages } from "./debian-package.ts";

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "switchboard-engines-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("a finished installation is used again, without apt", async () => {
  await using folder = await temporaryFolder();
  const into = join(folder.path, "engine");
  await mkdir(into);
  await writeFile(join(into, ".installed.json"), JSON.stringify({ packages: ["no-such-package"], suite: undefined }));
  const before = await stat(into);
  await installDebianPackages({ packages: ["no-such-package"], into });
  assert.deepEqual(await stat(into), before);
});

test("on a system without apt it says what is missing, and leaves nothing", { concurrency: false }, async () => {
  await using folder = await temporaryFolder();
  const path = process.env.PATH;
  process.env.PATH = folder.path;
  try {
    await assert.rejects(
      installDebianPackages({ packages: ["redis-server"], into: join(folder.path, "redis") }),
      /redis-server cannot be installed: apt-get is not on this system\. Put the program on PATH/,
    );
  } finally {
    process.env.PATH = path;
  }
  assert.deepEqual(await readdir(folder.path), []);
});

test("what a killed process left half done is removed, not used", async () => {
  await using folder = await temporaryFolder();
  const into = join(folder.path, "redis");
  // Above the highest id that Linux gives.
  const abandoned = `${into}.unfinished-4194305`;
  await mkdir(join(abandoned, "root/usr/bin"), { recursive: true });
  const path = process.env.PATH;
  process.env.PATH = folder.path;
  try {
    await assert.rejects(installDebianPackages({ packages: ["redis-server"], into }), /cannot be installed/);
  } finally {
    process.env.PATH = path;
  }
  assert.equal(existsSync(abandoned), false);
  assert.equal(existsSync(into), false);
});
