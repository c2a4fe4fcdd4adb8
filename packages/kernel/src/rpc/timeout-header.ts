/** Caps the deadline that a request asks for, in its own protocol's header, so that one clock and one signal hold it. */
import { headerTimeout as connectTimeout, parseTimeout as parseConnect } from "@connectrpc/connect/protocol-connect";
import { headerTimeout as grpcTimeout, parseTimeout as parseGrpc } from "@connectrpc/connect/protocol-grpc";

/** Sets the timeout to `capMs` where the request asks for more, or for none. A malformed one is left to be refused. */
export function capTimeout(header: Headers, capMs: number): void {
  const grpc = header.get("content-type")?.startsWith("application/grpc") === true;
  const name = grpc ? grpcTimeout : connectTimeout;
  const asked = header.get(name);
  if (asked !== null) {
    const { error, timeoutMs = capMs } = (grpc ? parseGrpc : parseConnect)(asked, Number.MAX_SAFE_INTEGER);
    if (error !== undefined || timeoutMs <= capMs) return;
  }
  header.set(name, grpc ? `${capMs}m` : String(capMs));
}
