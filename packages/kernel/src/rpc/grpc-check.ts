/**
 * Finds out whether an answer over HTTP/2 is gRPC at all, before connect's protocol reads it as a failed call. The codes are
 * those that gRPC itself has for such answers (http-grpc-status-mapping.md).
 */
import { Code } from "@connectrpc/connect";
import type { UniversalClientFn, UniversalClientResponse } from "@connectrpc/connect/protocol";
import { PeerFault, peerError } from "./peer-fault.ts";

/** Statuses with which a server says that it did not look at the request: its content type, its version, its protocol. */
const refusals = new Set([415, 421, 426, 505]);

export function requireGrpc(client: UniversalClientFn, origin: string): UniversalClientFn {
  return async (request) => {
    const response = await client(request);
    if (refusals.has(response.status)) {
      const refusal = new PeerFault("grpc_refused", false, `${origin} refuses gRPC: HTTP ${response.status}`);
      throw peerError(refusal, Code.Unknown);
    }
    return { ...response, body: withStatus(response, origin) };
  };
}

/** A proxy that drops trailers takes the call's status away: whether it succeeded, nobody knows. */
async function* withStatus(
  { status, header, body, trailer }: UniversalClientResponse,
  origin: string,
): AsyncGenerator<Uint8Array> {
  yield* body;
  if (status === 200 && !header.has("grpc-status") && !trailer.has("grpc-status")) {
    const loss = new PeerFault("grpc_refused", true, `${origin} ended a gRPC answer without its status`);
    throw peerError(loss, Code.Internal);
  }
}
