/** The headers of a call as the gateway passes it on: nothing internal from outside, everything internal from here. */
import type { OutgoingHttpHeaders } from "node:http2";
import {
  CLIENT_ADDRESS,
  FORWARDED,
  INTERNAL_PREFIX,
  REQUEST_ID,
  SERVICE_TOKEN,
  TRACEPARENT,
} from "@switchboard/contract/headers";
import { formatTraceparent } from "@switchboard/contract/trace-context";
import { connectionOptions, isHopByHop } from "@switchboard/wire/hop-by-hop";
import { formatTimeout, timeoutHeader } from "@switchboard/wire/timeout";
import type { GatewayCall } from "./gateway-call.ts";

/** Written by the gateway alone. A content-length that turns out false would cost the whole session to the instance. */
const replaced = new Set([
  "host",
  "content-length",
  "expect",
  "authorization",
  "forwarded",
  "grpc-timeout",
  "connect-timeout-ms",
]);

/**
 * @param instanceAddress host:port
 * @param behindProxy whether X-Forwarded-* of this call are believed.
 */
export function requestHeaders(
  call: GatewayCall,
  options: {
    readonly instanceAddress: string;
    readonly scheme: "http" | "https";
    readonly serviceToken: string;
    readonly behindProxy: boolean;
    readonly now: number;
  },
): OutgoingHttpHeaders {
  const { exchange, protocol } = call;
  const headers: OutgoingHttpHeaders = {};
  const ofConnection = connectionOptions(exchange.headers.connection);
  for (const name of Object.keys(exchange.headers)) {
    const value = exchange.headers[name];
    if (name.startsWith(INTERNAL_PREFIX) || replaced.has(name)) continue;
    if (isHopByHop(name, value) || ofConnection.includes(name)) continue;
    headers[name] = value;
  }
  headers[":method"] = exchange.method;
  headers[":path"] = call.query === "" ? call.path : `${call.path}?${call.query}`;
  headers[":scheme"] = options.scheme;
  headers[":authority"] = options.instanceAddress;
  headers[SERVICE_TOKEN] = options.serviceToken;
  headers[CLIENT_ADDRESS] = call.clientAddress;
  headers[FORWARDED] = "1";
  headers[REQUEST_ID] = call.requestId;
  headers[TRACEPARENT] = formatTraceparent(call.trace);
  if (call.accessToken !== undefined) headers.authorization = `Bearer ${call.accessToken}`;
  if (call.deadlineTime !== undefined) {
    headers[timeoutHeader(protocol)] = formatTimeout(protocol, call.deadlineTime - options.now);
  }
  if (protocol.name === "grpc") headers.te = "trailers";
  setForwarded(headers, call, options.behindProxy);
  return headers;
}

function setForwarded(headers: OutgoingHttpHeaders, { exchange }: GatewayCall, behindProxy: boolean): void {
  const before = behindProxy ? headers["x-forwarded-for"] : undefined;
  headers["x-forwarded-for"] = before === undefined ? exchange.peerAddress : `${before}, ${exchange.peerAddress}`;
  if (!behindProxy || headers["x-forwarded-proto"] === undefined) {
    headers["x-forwarded-proto"] = exchange.secure ? "https" : "http";
  }
  if (!behindProxy || headers["x-forwarded-host"] === undefined) headers["x-forwarded-host"] = exchange.host;
}
