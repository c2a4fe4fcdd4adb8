/** A service's policy and token in Consul. Corrects what is there, and replaces the token when its secret changed. */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ConsulAway, type ConsulClient, ConsulRefusal } from "./client.ts";
import { OWNERS_KEY } from "./package-owners.ts";

interface Policy {
  readonly ID: string;
}

interface Token {
  readonly AccessorID: string;
}

/** Two runs at once: what one finds missing the other makes. */
const ATTEMPTS = 5;

export async function makeToken(client: ConsulClient, service: string, secret: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await tryMakeToken(client, service, secret);
      return;
    } catch (error) {
      // Consul answers 500 where a name or an id is taken.
      if (!(error instanceof ConsulAway) || attempt === ATTEMPTS) throw error;
    }
    await delay(Math.random() * 50 * attempt);
  }
}

async function tryMakeToken(client: ConsulClient, service: string, secret: string): Promise<void> {
  const name = `switchboard-${service}`;
  const policy = { Name: name, Description: `What ${service} may do in the registry`, Rules: rulesOf(service) };
  const found = await client.request<readonly (Policy & { readonly Name: string })[]>({
    method: "GET",
    path: "/acl/policies",
  });
  const known = found.find(({ Name }) => Name === name);
  await client.request({
    method: "PUT",
    path: known ? `/acl/policy/${known.ID}` : "/acl/policy",
    body: known ? { ...policy, ID: known.ID } : policy,
  });

  const accessor = accessorOf(service);
  const token = { AccessorID: accessor, Description: `${service} of Switchboard`, Policies: [{ Name: name }] };
  const path = `/acl/token/${accessor}`;
  const present = await absentAsUndefined(
    client.request<Token & { readonly SecretID: string }>({ method: "GET", path }),
  );
  if (present?.SecretID === secret) {
    await client.request({ method: "PUT", path, body: { ...token, SecretID: secret } });
    return;
  }
  // A secret cannot be changed.
  if (present) await client.request({ method: "DELETE", path });
  await client.request({ method: "PUT", path: "/acl/token", body: { ...token, SecretID: secret } });
}

/**
 * Writing its own name, and reading what every process needs to find the others. It may write no key: who owns which
 * package is said by provisioning.
 */
function rulesOf(service: string): string {
  return `service ${JSON.stringify(service)} { policy = "write" }
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
key ${JSON.stringify(OWNERS_KEY)} { policy = "read" }
`;
}

/** Always the same for a service, so that its token is found again. It is no secret. */
function accessorOf(service: string): string {
  const hex = createHash("sha256").update(`switchboard token of ${service}`).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `5${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
}

/** Versions answer 403 or 404 for a token that is not there. */
async function absentAsUndefined<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof ConsulRefusal && (error.status === 404 || error.tokenUnknown)) return undefined;
    throw error;
  }
}
