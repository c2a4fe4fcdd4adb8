/** Kafka on this machine: found, or installed from Maven Central with the system's Maven. Runs on the system's Java. */
import { execFile } from "node:child_process";
import { copyFile, mkdir, readFile, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface KafkaProgram {
  /** A path, or a name that PATH finds. */
  readonly java: string;
  /** For `java -cp`. */
  readonly classPath: string;
}

const POM = resolve(import.meta.dirname, "../kafka/pom.xml");
const INSTALL_TIMEOUT_MS = 300_000;
const LEAST_JAVA = 17;

/** In `home`, of the version that pom.xml names. Undefined: it is not there, or there is no Java for it. */
export async function findKafka(home: string): Promise<KafkaProgram | undefined> {
  const folder = folderOf(home);
  if (!(await isComplete(folder)) || (await javaVersion()) < LEAST_JAVA) return undefined;
  return { java: javaCommand(), classPath: join(folder, "jars", "*") };
}

/** Into `home`, unless it is there; what an interrupted one left is done anew. @throws naming what the machine lacks. */
export async function installKafka(home: string): Promise<void> {
  const folder = folderOf(home);
  if (await isComplete(folder)) return;
  await requirePrograms();
  await mkdir(home, { recursive: true });
  const work = `${folder}.unfinished-${process.pid}`;
  try {
    await rm(work, { recursive: true, force: true });
    await mkdir(work);
    await copyFile(POM, join(work, "pom.xml"));
    const output = `-DoutputDirectory=${join(work, "jars")}`;
    const args = [
      "-B",
      "-q",
      "-f",
      join(work, "pom.xml"),
      "dependency:copy-dependencies",
      "-DincludeScope=runtime",
      output,
    ];
    try {
      await run("mvn", args, { timeout: INSTALL_TIMEOUT_MS });
    } catch (cause) {
      const { stdout = "", message } = cause as Error & { stdout?: string };
      throw new Error(`Kafka cannot be installed: ${stdout.trim() || message}`, { cause });
    }
    // Another process may have been faster: then its folder is as good.
    if (await isComplete(folder)) return;
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function folderOf(home: string): string {
  return resolve(home, "kafka");
}

/** The folder comes into place when it is whole, with the pom.xml that it was made from. */
async function isComplete(folder: string): Promise<boolean> {
  const made = await readFile(join(folder, "pom.xml"), "utf8").catch(() => "");
  return made === (await readFile(POM, "utf8"));
}

async function requirePrograms(): Promise<void> {
  const version = await javaVersion();
  const missing: string[] = [];
  if (version < LEAST_JAVA)
    missing.push(`Java ${LEAST_JAVA} or later (${version ? `there is ${version}` : "there is none"})`);
  const maven = await run("mvn", ["-version"]).catch(() => undefined);
  if (!maven) missing.push("Maven (mvn on PATH)");
  if (missing.length > 0) throw new Error(`Kafka needs ${missing.join(" and ")}`);
}

function javaCommand(): string {
  // biome-ignore lint/style/noProcessEnv: where Java is, is the machine's setting and none of ours.
  const home = process.env.JAVA_HOME;
  return home ? join(home, "bin", "java") : "java";
}

/** 0: none. */
async function javaVersion(): Promise<number> {
  // It prints to stderr: openjdk version "17.0.15" 2025-04-15
  const { stderr } = await run(javaCommand(), ["-version"]).catch(() => ({ stderr: "" }));
  return Number.parseInt(/version "(\d+)/.exec(stderr)?.[1] ?? "0", 10);
}
