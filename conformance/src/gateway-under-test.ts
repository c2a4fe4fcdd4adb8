/**
 * The program that the suite starts for the gateway, in its server mode: the same server, behind a gateway that learns the
 * contract as any other, and its policies from an overlay.
 */
import { contractHash } from "@switchboard/kernel/rpc/contract-hash";
import { fakeRegistry } from "@switchboard/kernel/rpc/registry.fake";
import { fetchContract } from "@switchboard/kernel/rpc/remote-contract";
import { fetchHealth } from "@switchboard/kernel/rpc/remote-health";
// @boundaries-ignore the gateway is a process and exports nothing; what proves it opens it from the inside
import { createGateway } from "../../gateway/src/gateway.ts";
// @boundaries-ignore the gateway is a process and exports nothing; what proves it opens it from the inside
import type { GatewayDeps } from "../../gateway/src/gateway-deps.ts";
// @boundaries-ignore the gateway is a process and exports nothing; what proves it opens it from the inside
import { parsePolicyOverlay } from "../../gateway/src/policy-overlay.ts";
import { ConformanceService } from "../gen/connectrpc/conformance/v1/service_pb.ts";
import { runCompatServer, type StartedServer, type WantedServer } from "./compat-server.ts";
import { conformanceRpcs, log, MAX_REQUEST_BYTES, serveConformance } from "./served.ts";

/** The suite has none, and every method is public. */
const NO_CREDENTIALS: Pick<
  GatewayDeps,
  "verifier" | "revocations" | "exchangeApiKey" | "authorizer" | "serviceToken" | "state"
> = {
  verifier: { verifyAccessToken: () => Promise.reject(new Error("there are no tokens")) },
  revocations: { isRevoked: () => false },
  exchangeApiKey: () => Promise.reject(new Error("there are no API keys")),
  authorizer: { check: async () => false },
  serviceToken: async () => "conformance",
  state: { take: async () => ({ allowed: true, remaining: 1, retryAfterMs: 0, resetAfterMs: 0 }) },
};

await runCompatServer(startGateway);

async function startGateway({ maxRequestBytes, tls }: WantedServer): Promise<StartedServer> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await serveConformance({ maxRequestBytes, tls: undefined }));
  const overlay = {
    [ConformanceService.file.proto.package]: {
      access: "ACCESS_PUBLIC",
      timeout: "0s",
      maxRequestBytes: maxRequestBytes || MAX_REQUEST_BYTES,
    },
  };
  const registry = fakeRegistry({
    service: "conformance",
    instanceId: "conformance-1",
    address: server.address,
    version: "1",
    contractHash: contractHash(conformanceRpcs),
    rpcServices: conformanceRpcs.map(({ descriptor }) => descriptor.typeName),
    metadata: {},
    registerTime: 0,
  });
  const learnt = Promise.withResolvers<void>();
  const gateway = await createGateway({
    registry,
    policyOverlay: parsePolicyOverlay(JSON.stringify(overlay)),
    bareErrors: true,
    async contractOf(instance) {
      const contract = await fetchContract(instance, { log, now: Date.now });
      // The routes are there as soon as whoever waits for this has run.
      setImmediate(learnt.resolve);
      return contract;
    },
    healthOf: (instance, service) => fetchHealth(instance, service, { log, now: Date.now }),
    ...NO_CREDENTIALS,
    problems: () => [],
    recordCall: () => {},
    log,
    now: Date.now,
    random: Math.random,
    config: {
      host: "127.0.0.1",
      port: 0,
      tls,
      corsOrigins: [],
      trustedProxies: [],
      addressLimit: 0,
      maxCalls: 10_000,
      maxStreamsPerConnection: 256,
      maxHeaderBytes: 16_384,
    },
  });
  stack.use(gateway);
  await learnt.promise;
  return { address: gateway.address, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
