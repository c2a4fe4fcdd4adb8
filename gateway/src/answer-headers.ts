/** Which headers of an instance's answer go on to the caller, and which the gateway adds. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { INTERNAL_PREFIX } from "@switchboard/contract/headers";
import { connectionOptions, isHopByHop } from "@switchboard/wire/hop-by-hop";
import type { GatewayCall } from "./gateway-call.ts";

/** Names that scripts in browsers may read without being told, and those that the gateway writes itself. */
const needNotBeExposed = /^(access-control-|cache-control$|content-(language|length|type)$|date$|expires$|set-cookie)/;

export function answerHeaders(call: GatewayCall, received: IncomingHttpHeaders): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  const ofConnection = connectionOptions(received.connection);
  for (const name of Object.keys(received)) {
    const value = received[name];
    if (name.startsWith(":") || name.startsWith(INTERNAL_PREFIX) || name === "trailer") continue;
    if (value === undefined || isHopByHop(name, value) || ofConnection.includes(name)) continue;
    // The services' own answers to CORS, if any, would contradict the gateway's.
    if (name.startsWith("access-control-")) continue;
    headers[name] = value;
  }
  const { vary } = headers;
  Object.assign(headers, call.answerHeaders);
  if (vary !== undefined && headers.vary !== vary) {
    headers.vary = [vary, call.answerHeaders.vary].filter((value) => value !== undefined).join(", ");
  }
  const exposed = call.answerHeaders["access-control-expose-headers"];
  if (exposed !== undefined) {
    const others = Object.keys(headers).filter((name) => !needNotBeExposed.test(name));
    headers["access-control-expose-headers"] = [...new Set([...exposed.split(", "), ...others])].join(", ");
  }
  return headers;
}

export function answerTrailers(received: IncomingHttpHeaders): OutgoingHttpHeaders {
  const trailers: OutgoingHttpHeaders = {};
  for (const name of Object.keys(received)) {
    if (!name.startsWith(":") && !name.startsWith(INTERNAL_PREFIX)) trailers[name] = received[name];
  }
  return trailers;
}
