/** Which service may serve a protobuf package: a document in Consul's key-value store that only provisioning writes. */
import { z } from "zod";

/** Its value is a JSON object from package to service. One key, so that one compare-and-set changes all of it. */
export const OWNERS_KEY = "switchboard/package-owners";

const schema = z.record(z.string(), z.string());

export type PackageOwners = ReadonlyMap<string, string>;

/** @throws where it is not such a document. */
export function parseOwners(text: string): PackageOwners {
  return new Map(Object.entries(schema.parse(JSON.parse(text))));
}

export function formatOwners(owners: PackageOwners): string {
  const entries = [...owners].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(entries), undefined, 2);
}

/** Of full names of services, those in packages that the service owns. */
export function ownedServices(
  owners: PackageOwners,
  service: string,
  rpcServices: readonly string[],
): readonly string[] {
  const owned = rpcServices.filter((name) => owners.get(packageOf(name)) === service);
  return owned.length === rpcServices.length ? rpcServices : owned;
}

/** "a.v1.S" → "a.v1"; "S" → "". */
function packageOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf(".")));
}
