/** Headers that belong to one connection and are never passed on (RFC 9110 7.6.1, RFC 9113 8.2.2). */

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** Whether a header, in lower case, stays on its connection. `te` goes on only as exactly "trailers". */
export function isHopByHop(name: string, value: unknown): boolean {
  return hopByHop.has(name) || (name === "te" && value !== "trailers");
}

/** Further names that a `Connection` header declares to be of its hop, in lower case. */
export function connectionOptions(connection: string | undefined): readonly string[] {
  return connection === undefined
    ? []
    : connection
        .toLowerCase()
        .split(",")
        .map((name) => name.trim());
}
