/** Finds the method. One that may not be called from outside is as unknown as one that does not exist. */
import { AppError } from "@switchboard/contract/app-error";
import type { Stage } from "../pipeline.ts";
import type { Route } from "../route-table.ts";

/** Content types that are understood, for `Accept-Post`. */
const ACCEPTED =
  "application/json, application/proto, application/connect+json, application/connect+proto, application/grpc, application/grpc-web, application/grpc-web-text";

export interface RouteStageOptions {
  readonly find: (path: string) => Route | undefined;
  /** Told of calls from outside to methods that are there, and internal. */
  readonly onInternal: (call: Parameters<Stage>[0], route: Route) => void;
}

export function route({ find, onInternal }: RouteStageOptions): Stage {
  return (call) => {
    const { exchange, protocol } = call;
    const found = find(call.path);
    if (found === undefined || found.policy.access === "internal") {
      if (found) onInternal(call, found);
      call.refusalStatus = 404;
      throw new AppError("UNKNOWN_METHOD", `no method can be called at ${call.path.slice(0, 200)}`);
    }
    call.route = found;
    const getAllowed = found.policy.sideEffectFree && call.unary;
    if (exchange.method !== "POST" && !(exchange.method === "GET" && getAllowed)) {
      call.refusalStatus = 405;
      call.answerHeaders.allow = getAllowed ? "GET, POST" : "POST";
      throw new AppError(
        "UNSUPPORTED_PROTOCOL",
        `this method takes ${getAllowed ? "POST, or GET with Connect's query" : "POST"}`,
      );
    }
    if (protocol.name === "unknown") {
      call.refusalStatus = 415;
      call.answerHeaders["accept-post"] = ACCEPTED;
      throw new AppError(
        "UNSUPPORTED_PROTOCOL",
        exchange.method === "GET"
          ? "a GET call needs the query parameters connect=v1, encoding and message"
          : `this content type is not spoken here; send one of ${ACCEPTED}`,
      );
    }
  };
}
