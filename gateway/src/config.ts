/** The gateway's own settings, beside those of every process (kernel/config/platform-settings.ts). */

import type { PlatformConfig } from "@switchboard/kernel/config/platform-settings";
import { integer, list, port } from "@switchboard/kernel/config/read-settings";
import { z } from "zod";
import { createClientAddresses } from "./client-address.ts";

export const gatewaySettings = {
  SWITCHBOARD_PORT: port.prefault("8080").describe("The public port; 0 lets the system choose."),
  SWITCHBOARD_CORS_ORIGINS: list
    .prefault("http://localhost:*,http://127.0.0.1:*")
    .describe(
      "Origins whose scripts may call, separated by commas; a `*` stands for any port or label, alone for all.",
    ),
  SWITCHBOARD_TRUSTED_PROXIES: list
    .prefault("")
    .refine(areProxies, "must be addresses and networks like 10.0.0.0/8, separated by commas")
    .describe("Proxies in front of the gateway whose X-Forwarded-* headers are believed."),
  SWITCHBOARD_GATEWAY_POLICY_OVERLAY: z
    .string()
    .optional()
    .describe("A JSON file with policies for packages of others, whose contracts have none; see docs/request.md."),
  SWITCHBOARD_GATEWAY_ADDRESS_LIMIT: integer({ min: 0, max: 1_000_000 })
    .prefault("2000")
    .describe("Calls a second that one address may make of one gateway, with a burst of twice that; 0: any number."),
  SWITCHBOARD_GATEWAY_MAX_CALLS: integer({ min: 1, max: 1_000_000 })
    .prefault("10000")
    .describe("Calls under way at once, over all connections; streams count."),
  SWITCHBOARD_GATEWAY_MAX_STREAMS: integer({ min: 1, max: 10_000 })
    .prefault("256")
    .describe("Calls under way at once on one HTTP/2 connection."),
  SWITCHBOARD_GATEWAY_MAX_HEADER_BYTES: integer({ min: 1_024, max: 1_048_576 })
    .prefault("16384")
    .describe("The largest headers of a request, all together, the messages of GET calls included."),
} as const;

export interface GatewayConfig {
  readonly host: string;
  readonly port: number;
  /** PEM texts; undefined: no TLS. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly corsOrigins: readonly string[];
  readonly trustedProxies: readonly string[];
  /** Calls per second; 0: no limit. */
  readonly addressLimit: number;
  readonly maxCalls: number;
  readonly maxStreamsPerConnection: number;
  readonly maxHeaderBytes: number;
}

export function gatewayConfig(
  platform: Pick<PlatformConfig, "host" | "port">,
  read: z.infer<z.ZodObject<typeof gatewaySettings>>,
  tls: GatewayConfig["tls"],
): GatewayConfig {
  return Object.freeze({
    host: platform.host,
    port: platform.port,
    tls,
    corsOrigins: read.SWITCHBOARD_CORS_ORIGINS,
    trustedProxies: read.SWITCHBOARD_TRUSTED_PROXIES,
    addressLimit: read.SWITCHBOARD_GATEWAY_ADDRESS_LIMIT,
    maxCalls: read.SWITCHBOARD_GATEWAY_MAX_CALLS,
    maxStreamsPerConnection: read.SWITCHBOARD_GATEWAY_MAX_STREAMS,
    maxHeaderBytes: read.SWITCHBOARD_GATEWAY_MAX_HEADER_BYTES,
  });
}

function areProxies(proxies: readonly string[]): boolean {
  try {
    createClientAddresses(proxies);
    return true;
  } catch {
    return false;
  }
}
