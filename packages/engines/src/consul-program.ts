/** Consul on this machine: found, or installed from Debian's archive. */
import { join } from "node:path";
import { installDebianPackages } from "./debian-package.ts";
import { findProgram, type InstalledProgram } from "./installed-program.ts";

/** Debian's last release with Consul (1.8.7); it left the archive with the change of its licence. */
const SUITE = "bullseye";

/** Below `home`, or else `consul` on PATH. */
export function findConsul(home: string): Promise<InstalledProgram | undefined> {
  return findProgram("consul", join(home, "consul"));
}

/** Into `home`, unless it is there or on PATH. @throws where this system has no apt, or its archive no Consul. */
export async function installConsul(home: string): Promise<void> {
  if (await findConsul(home)) return;
  await installDebianPackages({ packages: ["consul"], suite: SUITE, into: join(home, "consul") });
}
