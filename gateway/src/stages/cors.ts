/** CORS as Connect-Web and gRPC-Web need it: preflights are answered here, answers say what scripts may read. */
import { CONSISTENCY_TOKEN, INTERNAL_PREFIX, REQUEST_ID } from "@switchboard/contract/headers";
import { GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS } from "@switchboard/wire/trailers";
import { single } from "../gateway-call.ts";
import type { Stage } from "../pipeline.ts";

/** What the gateway's own answers carry; what an instance's answer carries beside them is added to it. */
const EXPOSED = [
  GRPC_STATUS,
  GRPC_MESSAGE,
  GRPC_STATUS_DETAILS,
  REQUEST_ID,
  CONSISTENCY_TOKEN,
  "ratelimit",
  "ratelimit-policy",
  "retry-after",
].join(", ");

/** How long a browser may remember a preflight: Chromium's own bound. */
const MAX_AGE_SECONDS = "7200";

const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

/** @param origins "https://app.example.com"; a `*` stands for any port, host label or, alone, for every origin. */
export function cors(origins: readonly string[]): Stage {
  const patterns = origins.map(originPattern);
  return (call) => {
    const { exchange } = call;
    const origin = single(exchange.headers.origin);
    // What a cache keeps of an answer without an origin must not reach a script.
    if (exchange.method === "GET") call.answerHeaders.vary = "origin";
    if (origin === undefined) return;
    const method = single(exchange.headers["access-control-request-method"]);
    const preflight = exchange.method === "OPTIONS" && method !== undefined;
    call.answerHeaders.vary = preflight ? "origin, access-control-request-headers" : "origin";
    const allowed = patterns.some((pattern) => pattern.test(origin));
    if (allowed) {
      call.answerHeaders["access-control-allow-origin"] = origin;
      if (!preflight) call.answerHeaders["access-control-expose-headers"] = EXPOSED;
    }
    if (!preflight) return;
    const asked = (single(exchange.headers["access-control-request-headers"]) ?? "").toLowerCase().split(",");
    // Metadata is free: a service's own headers are allowed as they are asked for.
    const names = asked.map((name) => name.trim()).filter((name) => headerName.test(name) && !isInternal(name));
    call.answerEmpty(
      204,
      allowed
        ? {
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": names.join(", "),
            "access-control-max-age": MAX_AGE_SECONDS,
          }
        : {},
    );
  };
}

function isInternal(name: string): boolean {
  return name.startsWith(INTERNAL_PREFIX);
}

function originPattern(origin: string): RegExp {
  if (origin === "*") return /^/;
  const parts = origin.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join("[a-z0-9-]*")}$`, "i");
}
