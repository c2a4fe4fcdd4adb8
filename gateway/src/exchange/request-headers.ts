/** The headers of an HTTP/2 request in the form of node:http, without pseudo-headers; and what headers ask of a connection. */
import type { IncomingHttpHeaders } from "node:http2";

export function requestHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const plain: IncomingHttpHeaders = {};
  for (const name of Object.keys(headers)) {
    if (!name.startsWith(":")) plain[name] = headers[name];
  }
  return plain;
}

/** RFC 9110, section 10.1.1. */
export function waitsForContinue({ expect }: IncomingHttpHeaders): boolean {
  return typeof expect === "string" && expect.toLowerCase() === "100-continue";
}
