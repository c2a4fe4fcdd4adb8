/** What is read from the head of a request, over HTTP/1.1 and HTTP/2 alike. */
import type { IncomingHttpHeaders } from "node:http2";

export function methodOf(method: string | undefined): string {
  return method === "HEAD" ? "GET" : (method ?? "");
}

/** HTTP/2's in the form of node:http: without pseudo-headers. */
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
