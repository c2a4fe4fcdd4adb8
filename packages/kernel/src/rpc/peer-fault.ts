/**
 * What went wrong between two processes, below the call: found by the clients of HTTP/2 and HTTP/1.1, carried as the
 * `cause` of a ConnectError, read by whoever decides about a retry. An error that the peer answered is none.
 */
import { Code, ConnectError } from "@connectrpc/connect";

/**
 * - `unreachable`: no connection.
 * - `http2_refused`: a connection, but no HTTP/2 on it.
 * - `grpc_refused`: HTTP/2, but no gRPC on it.
 * - `broken`: the connection or the stream ended before the answer did.
 */
export type PeerFaultKind = "unreachable" | "http2_refused" | "grpc_refused" | "broken";

export class PeerFault extends Error {
  override readonly name = "PeerFault";
  readonly kind: PeerFaultKind;
  /** False: the peer provably did not begin with the request, so that even a write may be sent again. */
  readonly maybeProcessed: boolean;

  constructor(kind: PeerFaultKind, maybeProcessed: boolean, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.maybeProcessed = maybeProcessed;
  }
}

/** A fault as the error of a call. */
export function peerError(fault: PeerFault, code: Code = Code.Unavailable): ConnectError {
  return new ConnectError(fault.message, code, undefined, undefined, fault);
}

/** The fault behind a failed call; undefined: the peer answered, or the caller gave up. */
export function peerFaultOf(error: unknown): PeerFault | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return error instanceof PeerFault ? error : cause instanceof PeerFault ? cause : undefined;
}

/** Errors of Node with which no connection came about. */
const unreachable = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL", "ENOTFOUND", "EAI_AGAIN"]);

/** Whether an error of Node, or one that it was caused by, says that no connection came about. */
export function isUnreachable(error: unknown): boolean {
  for (let reason = error; reason instanceof Error; reason = reason.cause) {
    if (reason instanceof AggregateError && reason.errors.some(isUnreachable)) return true;
    if (!("code" in reason) || typeof reason.code !== "string") continue;
    const connecting = "syscall" in reason && reason.syscall === "connect";
    if (unreachable.has(reason.code) || connecting) return true;
  }
  return false;
}
