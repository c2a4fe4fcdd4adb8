/** The gateway: one public port, one pipeline. What a call goes through is the record `stages`, in the order of PIPELINE. */
import { setTimeout as delay } from "node:timers/promises";
import { AppError } from "@switchboard/contract/app-error";
import { openListener } from "@switchboard/kernel/rpc/listener";
import { createApiKeys } from "./api-keys.ts";
import { createCallsUnderWay } from "./calls-under-way.ts";
import { createClientAddresses } from "./client-address.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { http1Exchange } from "./exchange/http1-exchange.ts";
import { Http2Exchange } from "./exchange/http2-exchange.ts";
import { GatewayCall } from "./gateway-call.ts";
import type { Gateway, GatewayDeps } from "./gateway-deps.ts";
import { type LiveRoutes, openLiveRoutes } from "./live-routes.ts";
import { createLocalServices } from "./local/local-services.ts";
import { serveLocal } from "./local/serve-local.ts";
import { inOrder, type Stage, type StageName } from "./pipeline.ts";
import { createRefusals } from "./refusals.ts";
import { addressLimit } from "./stages/address-limit.ts";
import { authenticate } from "./stages/authenticate.ts";
import { authorize } from "./stages/authorize.ts";
import { cors } from "./stages/cors.ts";
import { deadline } from "./stages/deadline.ts";
import { forward } from "./stages/forward.ts";
import { drainingError, limits } from "./stages/limits.ts";
import { rateLimit } from "./stages/rate-limit.ts";
import { route } from "./stages/route.ts";
import { createUpstreams } from "./upstreams/upstreams.ts";

/** The gateway's name in the registry. */
export const SERVICE = "gateway";

/** How often the credentials behind open streams are looked at. */
const REVOCATION_CHECK_MS = 250;
/** How long streams that are ended get to send their last words. */
const LAST_WORDS_MS = 250;

export async function createGateway(deps: GatewayDeps): Promise<Gateway> {
  const { authorizer, config, exchangeApiKey, log, now, random, recordCall, revocations, state, verifier } = deps;
  const addresses = createClientAddresses(config.trustedProxies);
  const underWay = createCallsUnderWay();
  const upstreams = createUpstreams({ now, random, tls: deps.clientTls });
  const refusals = createRefusals(log, recordCall);
  const shutdown = new AbortController();
  const draining = () => shutdown.signal.aborted;
  let uncounted = 0;

  const local = createLocalServices({
    service: SERVICE,
    live: () => live,
    endpoints: () => upstreams.endpoints(),
    healthOf: deps.healthOf,
    policyOverlay: deps.policyOverlay,
    problems: deps.problems,
    draining,
    now,
    log,
    shutdown: shutdown.signal,
  });
  const live: LiveRoutes = openLiveRoutes({
    registry: deps.registry,
    ownService: SERVICE,
    local: local.routes,
    policyOverlay: deps.policyOverlay,
    fetchContract: deps.contractOf,
    onInstances: (instances) => upstreams.update(instances),
    log,
  });
  const toInstance = forward({
    upstreams,
    find: live.find,
    serviceToken: deps.serviceToken,
    scheme: deps.clientTls ? "https" : "http",
    behindProxy: (call) => addresses.trusted(call.exchange),
    now,
    random,
  });

  const stages: Record<StageName, Stage> = {
    cors: cors(config.corsOrigins),
    route: route({ find: live.find, onInternal: refusals.internal }),
    deadline: deadline(now),
    limits: limits({ ...config, callsUnderWay: () => underWay.size, draining }),
    "address-limit": addressLimit(config.addressLimit, now),
    authenticate: authenticate({ apiKeys: createApiKeys({ exchangeApiKey, now }), verifier }),
    authorize: authorize(authorizer),
    "rate-limit": rateLimit({
      state,
      onUncounted(error) {
        if (uncounted++ % 1_000 === 0)
          log.warn({ err: error, uncounted }, "calls are not counted: rate limits do not hold");
      },
    }),
    forward(call) {
      call.exchange.wantBody();
      const handler = local.handler(call.path);
      return handler ? serveLocal(call, handler, now()) : toInstance(call);
    },
  };
  const pipeline = inOrder(stages);

  const serve = async (open: () => Exchange): Promise<void> => {
    const exchange = open();
    const call = new GatewayCall(exchange, addresses.of(exchange), now(), deps.bareErrors);
    underWay.add(call);
    call.exchange.onClosed(() => measure(call));
    try {
      for (const stage of pipeline) {
        const passed = stage(call);
        if (passed) await passed;
        if (call.ended) return;
      }
    } catch (error) {
      if (call.exchange.begun) return call.exchange.reset();
      refusals.refused(call, error, call.refuse(error));
    }
  };
  const measure = ({ arrivalTime, method = "unknown", outcome }: GatewayCall) =>
    deps.metrics?.serverDuration.observe(
      { rpc_method: method, rpc_response_status_code: outcome || "canceled" },
      (now() - arrivalTime) / 1_000,
    );
  const accept = (open: () => Exchange, cut: () => void) => {
    serve(open).catch((error: unknown) => {
      log.error({ err: error }, "a call could not even be refused");
      cut();
    });
  };

  const listener = await openListener({
    host: config.host,
    port: config.port,
    tls: config.tls,
    limits: { maxHeaderBytes: config.maxHeaderBytes, maxConcurrentStreams: config.maxStreamsPerConnection },
    log,
    onRequest(request, response) {
      accept(
        () => http1Exchange(request, response),
        () => request.socket.destroy(),
      );
    },
    onStream(stream, headers) {
      accept(
        () => new Http2Exchange(stream, headers),
        () => stream.destroy(new Error("the call was cut")),
      );
    },
  });
  const revoked = () => new AppError("CREDENTIAL_REVOKED", "the session or API key of this call was revoked");
  const watching = setInterval(() => {
    underWay.endStreams(
      revoked,
      ({ principal }) => principal.kind === "user" && revocations.isRevoked(principal.credentialId),
    );
  }, REVOCATION_CHECK_MS).unref();

  const stop = async (graceMs: number): Promise<void> => {
    shutdown.abort(drainingError());
    underWay.endStreams(drainingError);
    listener.refuse();
    await Promise.race([listener.closed, delay(Math.max(graceMs, LAST_WORDS_MS), undefined, { ref: false })]);
    listener.destroy();
    await listener.closed;
    clearInterval(watching);
    live[Symbol.dispose]();
    upstreams[Symbol.dispose]();
  };
  let stopped: Promise<void> | undefined;
  const drain = (graceMs: number): Promise<void> => {
    stopped ??= stop(graceMs);
    return stopped;
  };
  return {
    address: listener.address,
    problem: () => (draining() ? "it is stopping" : live.problem()),
    uncountedCalls: () => uncounted,
    drain,
    [Symbol.asyncDispose]: () => drain(0),
  };
}
