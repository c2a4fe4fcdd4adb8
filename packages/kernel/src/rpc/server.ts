/**
 * The server of a process: Connect, gRPC and gRPC-Web on one port, with health and reflection. Hosts are below
 * (listener.ts), protocols in the middle (connect-es), the table of calls above (routes.ts): a faster lane for unary calls
 * goes in here, in front of `handler`.
 */
import { setMaxListeners } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Interceptor } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { AppError } from "@switchboard/contract/app-error";
import type { Logger } from "pino";
import type { Rpc } from "../service.ts";
import { fromAppError } from "./errors.ts";
import { healthRpc } from "./health.ts";
import { boundBody, incomingCall } from "./incoming.ts";
import { type ListenerOptions, openListener, type Request, type Response } from "./listener.ts";
import { type Policies, resolvePolicies } from "./policies.ts";
import { reflectionRpcs } from "./reflection.ts";
import { buildRoutes, type Gate } from "./routes.ts";
import { capTimeout } from "./timeout-header.ts";
import { createUnknownCalls, explainRefusal } from "./unknown-call.ts";

export interface ServerOptions extends Pick<ListenerOptions, "host" | "port" | "tls" | "limits"> {
  /** Without health and reflection, which the server adds. */
  readonly rpcs: readonly Rpc[];
  /** The policies of `rpcs`. Default: resolved from their contracts. */
  readonly policies?: Policies;
  /** From `serviceInterceptors()`. Without it nobody is asked who they are: for tests only. */
  readonly interceptors?: { readonly gate?: Gate; readonly interceptors: readonly Interceptor[] };
  /** What health answers, for a service's full name or "" for the process. Default: it serves until it drains. */
  readonly serving?: (service: string) => boolean;
  /**
   * Refusals of the server itself without a google.rpc.ErrorInfo, and without a body where the HTTP status says it all:
   * what the conformance suite compares with. Default false.
   */
  readonly bareErrors?: boolean;
  readonly log: Logger;
}

export interface RpcServer extends AsyncDisposable {
  /** "127.0.0.1:40123" */
  readonly address: string;
  /**
   * Ends in order: health says NOT_SERVING, no new connections, GOAWAY, open streams end with `unavailable`, unary calls
   * under way finish, for `graceMs` at most. Then whatever is left is cut. Resolves when nothing is open.
   */
  drain(graceMs: number): Promise<void>;
}

/** How long calls that are cut get to send their error. */
const LAST_WORDS_MS = 250;

export async function startServer(options: ServerOptions): Promise<RpcServer> {
  const { bareErrors = false, log, serving = () => true } = options;
  const unary = new AbortController();
  const streams = new AbortController();
  // Every call under way listens to one of them.
  setMaxListeners(0, unary.signal, streams.signal);
  const rpcs = withStandardRpcs(options.rpcs, (service) => !streams.signal.aborted && serving(service));
  const routes = buildRoutes({
    rpcs,
    policies: options.policies ?? resolvePolicies(options.rpcs),
    gate(context) {
      boundBody(context);
      return options.interceptors?.gate?.(context);
    },
    interceptors: options.interceptors?.interceptors ?? [],
    unarySignal: unary.signal,
    streamSignal: streams.signal,
  });
  const unknown = createUnknownCalls(bareErrors);

  const serve = async (request: Request, response: Response): Promise<void> => {
    const path = request.url?.split("?", 1)[0] ?? "";
    const route = routes.get(path);
    const call = incomingCall(request, response);
    let answer: UniversalServerResponse;
    if (route === undefined) {
      answer = await unknown(call, path);
    } else {
      if (route.policy.timeoutMs !== undefined) capTimeout(call.header, route.policy.timeoutMs);
      answer = await route.handler(call);
      if (!bareErrors) answer = explainRefusal(answer);
    }
    await universalResponseToNodeResponse(answer, response);
  };

  const listener = await openListener({
    ...options,
    onRequest(request, response) {
      serve(request, response).catch((error: unknown) => {
        log.debug({ err: error }, "a call could not be answered");
        const plain = response as ServerResponse;
        if (!plain.headersSent) plain.writeHead(400);
        plain.end();
      });
    },
  });

  const draining = fromAppError(new AppError("DRAINING", "this instance is stopping; repeat the call"));
  const cut = async () => {
    streams.abort(draining);
    unary.abort(draining);
    listener.destroy();
    await listener.closed;
  };
  return {
    address: listener.address,
    async drain(graceMs) {
      streams.abort(draining);
      listener.refuse();
      await Promise.race([listener.closed, delay(graceMs, undefined, { ref: false })]);
      unary.abort(draining);
      await Promise.race([listener.closed, delay(LAST_WORDS_MS, undefined, { ref: false })]);
      await cut();
    },
    [Symbol.asyncDispose]: cut,
  };
}

function withStandardRpcs(rpcs: readonly Rpc[], serving: (service: string) => boolean): readonly Rpc[] {
  const names = rpcs.map(({ descriptor }) => descriptor.typeName);
  const withHealth = [...rpcs, healthRpc(names, serving)];
  return [...withHealth, ...reflectionRpcs(withHealth)];
}
