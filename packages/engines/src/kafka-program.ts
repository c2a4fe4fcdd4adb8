/** Kafka on this machine: its jars out of Maven Central, and a Java to run them with. */
import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface KafkaProgram {
  /** A path, or a name that PATH finds; Java 17 or newer. */
  readonly java: string;
  /** For -cp. */
  readonly classPath: string;
}

const TIMEOUT_MS = 300_000;
const MIN_JAVA = 17;

/** Undefined: not installed below `home`, or there is no Java for it. */
export async function findKafka(home: string): Promise<KafkaProgram | undefined> {
  const libraries = join(home, "kafka", "libs");
  const jars = await readdir(libraries).catch(() => []);
  const java = jars.length > 0 ? await findJava() : undefined;
  return java === undefined ? undefined : { java, classPath: join(libraries, "*") };
}

/** Into `home`, unless it is there. @throws Error that names what is missing: Java, or Maven. */
export async function installKafka(home: string): Promise<void> {
  if (await findKafka(home)) return;
  if ((await findJava()) === undefined) {
    throw new Error(`Kafka needs Java ${MIN_JAVA} or newer on PATH, or in JAVA_HOME`);
  }
  const folder = join(home, "kafka");
  const work = `${folder}.unfinished-${process.pid}`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    await copyFile(resolve(import.meta.dirname, "../kafka/pom.xml"), join(work, "pom.xml"));
    await run(
      "mvn",
      ["-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${join(work, "libs")}`],
      { cwd: work, timeout: TIMEOUT_MS },
    );
    await writeFile(join(work, ".gitignore"), "*\n");
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
  } catch (cause) {
    const { code, stdout } = cause as { code?: unknown; stdout?: string };
    const why = code === "ENOENT" ? "mvn (Maven) is not on PATH" : stdout?.trim() || (cause as Error).message;
    throw new Error(`Kafka cannot be installed: ${why}`, { cause });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function findJava(): Promise<string | undefined> {
  // biome-ignore lint/style/noProcessEnv: Java's own convention, which no setting of ours repeats.
  const home = process.env.JAVA_HOME;
  const java = home ? join(home, "bin", "java") : "java";
  try {
    const { stderr } = await run(java, ["-version"]);
    const [, major = "0"] = /version "(\d+)/.exec(stderr) ?? [];
    return Number(major) >= MIN_JAVA ? java : undefined;
  } catch {
    return undefined;
  }
}
