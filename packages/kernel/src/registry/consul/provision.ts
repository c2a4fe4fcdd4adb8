/**
 * The administrator's step before the platform runs on Consul: which service owns which protobuf package, and for each
 * service a token that can register that service only. Repeating it is harmless, two at once too.
 */
import { setTimeout as delay } from "node:timers/promises";
import { makeToken } from "./access-token.ts";
import { ConsulClient, type ConsulClientOptions } from "./client.ts";
import { formatOwners, OWNERS_KEY, type PackageOwners, parseOwners } from "./package-owners.ts";

export interface ConsulServiceEntry {
  /** The registry's name: "identity". */
  readonly name: string;
  /** The protobuf packages that only this service may serve: "switchboard.identity.v1". */
  readonly packages: readonly string[];
  /** The secret id that its token is to have, a UUID: Consul takes no other form. */
  readonly token: string;
}

export interface ConsulProvision extends Omit<ConsulClientOptions, "token"> {
  /**
   * May write policies, tokens and keys. Undefined for a Consul without access control: then no tokens are made, and
   * everybody who reaches it may register anything.
   */
  readonly managementToken: string | undefined;
  readonly services: readonly ConsulServiceEntry[];
}

/** A package belongs to another service than the manifest says. */
export class ConsulPackageConflict extends Error {
  override readonly name = "ConsulPackageConflict";
}

const ATTEMPTS = 20;

/**
 * @throws ConsulPackageConflict where a package belongs to a service that `services` does not name; with both named it
 * moves. ConsulAway or ConsulRefusal where Consul cannot be asked.
 */
export async function provisionConsul({ managementToken, services, ...connection }: ConsulProvision): Promise<void> {
  const client = new ConsulClient({ ...connection, token: managementToken });
  try {
    await claimPackages(client, services);
    if (managementToken === undefined) return;
    for (const { name, token } of services) await makeToken(client, name, token);
  } finally {
    client.close();
  }
}

async function claimPackages(client: ConsulClient, services: readonly ConsulServiceEntry[]): Promise<void> {
  const { kv } = client.api;
  for (let attempt = 1; ; attempt++) {
    const found = await client.call<{ Value: string; ModifyIndex: number } | undefined>(kv, kv.get, {
      key: OWNERS_KEY,
    });
    const before: PackageOwners = found.value ? parseOwners(found.value.Value) : new Map();
    const value = formatOwners(assign(before, services));
    if (value === found.value?.Value) return;
    // 0: only where there is none. The client library gives a lost race as undefined.
    const set = { key: OWNERS_KEY, value, cas: found.value?.ModifyIndex ?? 0 };
    if ((await client.call<true | undefined>(kv, kv.set as (options: never) => Promise<unknown>, set)).value) return;
    if (attempt === ATTEMPTS) throw new Error("others keep changing who owns which package: provision again");
    await delay(Math.random() * 20 * attempt);
  }
}

function assign(before: PackageOwners, services: readonly ConsulServiceEntry[]): PackageOwners {
  const named = new Set(services.map(({ name }) => name));
  const owners = new Map([...before].filter(([, service]) => !named.has(service)));
  const faults: string[] = [];
  for (const { name, packages } of services) {
    for (const owned of packages) {
      const other = owners.get(owned);
      if (other !== undefined && other !== name) faults.push(`  ${owned} belongs to ${other}`);
      owners.set(owned, name);
    }
  }
  if (faults.length > 0) throw new ConsulPackageConflict(`packages belong to one service each:\n${faults.join("\n")}`);
  return owners;
}
