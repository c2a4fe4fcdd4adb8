/** The headers of an HTTP/2 request in the form of node:http: without pseudo-headers. */
import type { IncomingHttpHeaders } from "node:http2";

export function requestHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const plain: IncomingHttpHeaders = {};
  for (const name of Object.keys(headers)) {
    if (!name.startsWith(":")) plain[name] = headers[name];
  }
  return plain;
}
