/** Redis on this machine: found, or installed from Debian's archive. */
import { join } from "node:path";
import { installDebianPackages } from "./debian-package.ts";
import { findProgram, type InstalledProgram } from "./installed-program.ts";

/** Below `home`, or else `redis-server` on PATH. */
export function findRedis(home: string): Promise<InstalledProgram | undefined> {
  return findProgram("redis-server", join(home, "redis"));
}

/** Into `home`, unless it is there or on PATH. @throws where this system has no apt, or its archive no Redis. */
export async function installRedis(home: string): Promise<void> {
  if (await findRedis(home)) return;
  await installDebianPackages({ packages: ["redis-server", "redis-tools"], into: join(home, "redis") });
}
