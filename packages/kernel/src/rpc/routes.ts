/** The table of what is served: path → handler. connect-es makes the handlers; this gives each its own limits. */
import { createRegistry } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import type { Compression, UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { MethodPolicy } from "@switchboard/contract/policy";
import type { Rpc } from "../service.ts";
import { filesOf } from "./contract-hash.ts";
import type { Policies } from "./policies.ts";

export const ACCEPTED_COMPRESSION: readonly Compression[] = [compressionGzip, compressionBrotli];

/** Runs when a call's headers are there, before its body is read; what it throws is the call's answer. */
export type Gate = (context: HandlerContext) => void | Promise<void>;

export interface Route {
  readonly handler: UniversalHandler;
  readonly policy: MethodPolicy;
}

export interface RouteOptions {
  readonly rpcs: readonly Rpc[];
  readonly policies: Policies;
  readonly gate: Gate;
  readonly interceptors: readonly Interceptor[];
  /** Ends unary calls. */
  readonly unarySignal: AbortSignal;
  /** Ends streams. */
  readonly streamSignal: AbortSignal;
}

export function buildRoutes(options: RouteOptions): ReadonlyMap<string, Route> {
  const { gate, interceptors, policies } = options;
  const routes = new Map<string, Route>();
  // A google.protobuf.Any has a form in JSON only for messages that are known.
  const registry = createRegistry(...filesOf(options.rpcs).values());
  // A router has one limit for all its methods (and options given per service replace the router's instead of adding to
  // them), so there is a router for each pair of limit and shutdown signal, and each method is taken from its own.
  const handlersOf = (maxRequestBytes: number, shutdownSignal: AbortSignal): readonly UniversalHandler[] => {
    const router: ConnectRouter = createConnectRouter({
      acceptCompression: [...ACCEPTED_COMPRESSION],
      jsonOptions: { registry },
      interceptors: [...interceptors],
      readMaxBytes: maxRequestBytes,
      shutdownSignal,
      requestGate: gate,
    });
    for (const each of options.rpcs) each.register(router);
    return router.handlers;
  };
  for (const maxRequestBytes of new Set([...policies.values()].map((policy) => policy.maxRequestBytes))) {
    for (const unary of [true, false]) {
      for (const handler of handlersOf(maxRequestBytes, unary ? options.unarySignal : options.streamSignal)) {
        const policy = policies.get(handler.method);
        if (policy === undefined) throw new Error(`no policy was resolved for ${handler.requestPath}`);
        const fits = policy.maxRequestBytes === maxRequestBytes && (handler.method.methodKind === "unary") === unary;
        if (fits) routes.set(handler.requestPath, Object.freeze({ handler, policy }));
      }
    }
  }
  return routes;
}
