/** An instance as Consul holds it: a service of its agent with a check whose life is the lease, and back. */
import { createHash } from "node:crypto";
import { AppError } from "@switchboard/contract/app-error";
import { z } from "zod";
import type { Registration } from "../registry.ts";
import type { LeasedInstance } from "./outage-grace.ts";

/** Tells our services from those of others in the same Consul. */
export const TAG = "switchboard";
/** Consul's limits are 64 entries, of 512 bytes each. */
const CHUNK_BYTES = 512;
const MAX_CHUNKS = 60;
/** Consul takes a minute at least, and looks every 30 s: the dead stay visible to operators for that long, as critical. */
const DEREGISTER_AFTER = "1m";

export interface ServiceDefinition {
  readonly name: string;
  readonly id: string;
  readonly address: string;
  readonly port: number;
  readonly tags: string[];
  readonly meta: Record<string, string>;
  readonly check: {
    readonly checkid: string;
    readonly ttl: string;
    readonly status: "passing";
    readonly notes: string;
    readonly deregistercriticalserviceafter: string;
  };
}

/** As in the answers of /agent/services and /health/service. */
export interface ConsulService {
  readonly ID: string;
  readonly Service: string;
  readonly Address: string;
  readonly Port: number;
  readonly Meta: Readonly<Record<string, string>> | null;
}

/** What of a registration is not Consul's own: JSON in the metadata, in pieces. */
const registered = z.object({
  instanceId: z.string(),
  version: z.string(),
  contractHash: z.string(),
  rpcServices: z.array(z.string()).readonly(),
  metadata: z.record(z.string(), z.string()).readonly(),
  registerTime: z.int(),
  leaseMs: z.int().positive(),
});

/** @throws AppError INVALID_FIELD where Consul cannot hold it. */
export function toDefinition(registration: Registration, leaseMs: number, registerTime: number): ServiceDefinition {
  const { service, address, ...rest } = registration;
  const place = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(address)?.groups;
  const port = Number(place?.port);
  if (!place || port > 65_535) {
    throw new AppError("INVALID_FIELD", `the address ${address} must be host:port, or [IPv6 address]:port`);
  }
  const meta = toMeta(JSON.stringify({ ...rest, registerTime, leaseMs } satisfies z.infer<typeof registered>));
  const id = idOf(service, registration.instanceId);
  // A check that is the same tells nobody of a service that is not.
  const revision = createHash("sha256")
    .update(JSON.stringify([address, meta]))
    .digest("hex")
    .slice(0, 16);
  return {
    name: service,
    id,
    address: place.v6 ?? place.host ?? "",
    port,
    tags: [TAG],
    meta,
    check: {
      checkid: checkIdOf(id),
      ttl: `${leaseMs}ms`,
      status: "passing",
      notes: `The lease of this instance, which renews it by itself. Revision ${revision}.`,
      deregistercriticalserviceafter: DEREGISTER_AFTER,
    },
  };
}

/** Undefined where it is none of ours, or from a version that wrote it otherwise. */
export function fromService(service: ConsulService): LeasedInstance | undefined {
  try {
    const { leaseMs, ...rest } = registered.parse(JSON.parse(fromMeta(service.Meta ?? {})));
    const address = `${service.Address.includes(":") ? `[${service.Address}]` : service.Address}:${service.Port}`;
    const { instanceId, version, contractHash, rpcServices, metadata, registerTime } = rest;
    const name = service.Service;
    if (service.ID !== idOf(name, instanceId)) return undefined;
    return {
      instance: { service: name, instanceId, address, version, contractHash, rpcServices, metadata, registerTime },
      leaseMs,
    };
  } catch {
    return undefined;
  }
}

export function checkIdOf(serviceId: string): string {
  return `service:${serviceId}`;
}

/**
 * An agent's ids are one name space for all services, and Consul does not tell letter case: capitals, and what else is no
 * plain character, become `_` and the hexadecimal of their bytes. A UUID stays as it is.
 */
function idOf(service: string, instanceId: string): string {
  const plain = instanceId.replace(/[^a-z0-9.-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `_${byte.toString(16).padStart(2, "0")}`).join(""),
  );
  return `${service}:${plain}`;
}

function toMeta(json: string): Record<string, string> {
  // One byte a character, so that no piece ends inside one.
  const ascii = json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const pieces = ascii.match(new RegExp(`.{1,${CHUNK_BYTES}}`, "g")) ?? [];
  if (pieces.length > MAX_CHUNKS) {
    throw new AppError(
      "INVALID_FIELD",
      `the registration has ${ascii.length} bytes and Consul takes ${CHUNK_BYTES * MAX_CHUNKS}: serve fewer services from one process, or give it less metadata`,
    );
  }
  return Object.fromEntries(pieces.map((piece, position) => [keyOf(position), piece]));
}

function fromMeta(meta: Readonly<Record<string, string>>): string {
  let json = "";
  for (let position = 0; meta[keyOf(position)] !== undefined; position++) json += meta[keyOf(position)];
  return json;
}

function keyOf(position: number): string {
  return `registration-${String(position).padStart(2, "0")}`;
}
