/** Where engines are kept that npm does not install, and what tests do where one is missing. */
import { resolve } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** `SWITCHBOARD_ENGINES_DIR`, or `.engines` in the repository. */
export function engineHome(env: Environment): string {
  return resolve(env.SWITCHBOARD_ENGINES_DIR || resolve(import.meta.dirname, "../../../.engines"));
}

/**
 * For the `skip` of a test: why it is skipped, or false. With REQUIRE_ENGINES=all nothing is skipped, so that a missing
 * engine fails.
 */
export function skipWithout(engine: string, installed: boolean, env: Environment): string | false {
  return installed || env.REQUIRE_ENGINES === "all" ? false : `${engine} is not installed`;
}
