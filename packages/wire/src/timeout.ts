/** The time that a caller gives a call: `grpc-timeout` and `connect-timeout-ms`, read and written. */
import { AppError } from "@switchboard/contract/app-error";
import type { Protocol } from "./protocol.ts";

export const GRPC_TIMEOUT = "grpc-timeout";
export const CONNECT_TIMEOUT = "connect-timeout-ms";

/** gRPC's units, in milliseconds. */
const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** The header that carries a protocol's timeout. */
export function timeoutHeader(protocol: Protocol): string {
  return protocol.name.startsWith("grpc") ? GRPC_TIMEOUT : CONNECT_TIMEOUT;
}

/**
 * The timeout in milliseconds, rounded up; undefined: the caller gave none.
 * @throws AppError MALFORMED_REQUEST
 */
export function parseTimeoutMs(protocol: Protocol, header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (timeoutHeader(protocol) === CONNECT_TIMEOUT) {
    if (/^\d{1,10}$/.test(header)) return Number(header);
    throw malformed(CONNECT_TIMEOUT, "1 to 10 digits: milliseconds");
  }
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  if (match) return Math.ceil(Number(match[1]) * (units[match[2] ?? ""] ?? 1));
  throw malformed(GRPC_TIMEOUT, "1 to 8 digits and a unit, one of H M S m u n");
}

/** The header's value for so many milliseconds, at least 1. */
export function formatTimeout(protocol: Protocol, timeoutMs: number): string {
  const whole = Math.max(1, Math.floor(timeoutMs));
  if (timeoutHeader(protocol) === CONNECT_TIMEOUT) return String(Math.min(whole, 9_999_999_999));
  return whole <= 99_999_999 ? `${whole}m` : `${Math.min(Math.floor(whole / 1_000), 99_999_999)}S`;
}

function malformed(header: string, form: string): AppError {
  return new AppError("MALFORMED_REQUEST", `the header ${header} is malformed; it must be ${form}`);
}
