/** What Consul's failures mean to whoever reads a process's readiness. */
import { ConsulRefusal } from "./client.ts";

/** Nobody wrote yet which service owns which package, or the agent lost it. */
export class NotProvisioned extends Error {
  override readonly name = "NotProvisioned";
}

export function problemOf(error: unknown): string {
  if (error instanceof NotProvisioned) return "the registry (Consul) is not provisioned: no package has an owner";
  if (!(error instanceof ConsulRefusal)) return "the registry (Consul) cannot be reached";
  return error.tokenUnknown
    ? "the registry (Consul) does not know the token of this process: provision it"
    : "the registry (Consul) refuses what the token of this process must be allowed to do: provision it anew";
}
