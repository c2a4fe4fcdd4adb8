/** For the tests beside it: a real gateway and real instances, with a registry and a state in memory, and clients that are anybody. */
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { CallRecord } from "@switchboard/kernel/audit/call-recorder";
import { type FakeRegistry, fakeRegistry } from "@switchboard/kernel/rpc/registry.fake";
import { fetchContract } from "@switchboard/kernel/rpc/remote-contract";
import { fetchHealth } from "@switchboard/kernel/rpc/remote-health";
import { staticKeys } from "@switchboard/kernel/trust/key-source";
import { createTokenVerifier, type TokenVerifier } from "@switchboard/kernel/trust/token-verifier";
import { eventually } from "@switchboard/testkit/eventually";
import { type TestTokens, testTokens } from "@switchboard/testkit/tokens";
import { gatewaySettings } from "../src/config.ts";
import { createGateway } from "../src/gateway.ts";
import type { Gateway, GatewayDeps } from "../src/gateway-deps.ts";
import {
  type ProbeDescriptor,
  type ProbeHandlers,
  type ProbeInstance,
  ProbeService,
  silent,
  startProbe,
} from "./probe-service.ts";
import { openTransport, type Protocol } from "./transports.ts";

export interface GatewayUnderTest extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  readonly registry: FakeRegistry;
  readonly tokens: TestTokens;
  readonly verifier: TokenVerifier;
  readonly revoked: Set<string>;
  readonly records: readonly CallRecord[];
  /** Starts an instance and registers it. */
  probe(
    handlers?: ProbeHandlers,
    options?: { id?: string; port?: number; descriptor?: ProbeDescriptor },
  ): Promise<ProbeInstance>;
  /** Resolves when the gateway routes a method. */
  routed(method?: string): Promise<void>;
  client(protocol?: Protocol, headers?: Record<string, string>): Client<ProbeDescriptor>;
  clientOf<D extends DescService>(service: D, protocol?: Protocol, headers?: Record<string, string>): Client<D>;
}

export async function gatewayUnderTest(
  handlers?: ProbeHandlers,
  given: Partial<Omit<GatewayDeps, "config">> & { config?: Partial<GatewayDeps["config"]> } = {},
): Promise<GatewayUnderTest> {
  const stack = new AsyncDisposableStack();
  const tokens = await testTokens();
  const revoked = new Set<string>();
  const records: CallRecord[] = [];
  const revocations = { isRevoked: (id: string) => revoked.has(id), stalenessMs: () => 0 };
  const verifier = createTokenVerifier({ keys: await staticKeys(tokens.keys), revocations, now: Date.now });
  const registry = fakeRegistry();
  const { config, ...deps } = given;
  const gateway = stack.use(
    await createGateway({
      registry,
      state: countingState(),
      verifier,
      revocations,
      exchangeApiKey: async () => ({ accessToken: await tokens.accessToken("ada"), expireTime: Date.now() + 600_000 }),
      authorizer: { check: async (subject) => subject === "user:admin" },
      serviceToken: () => tokens.serviceToken("gateway"),
      contractOf: (instance) => fetchContract(instance, { log: silent, now: Date.now }),
      healthOf: (instance, service) => fetchHealth(instance, service, { log: silent, now: Date.now }),
      problems: () => [],
      recordCall: (record) => void records.push(record),
      log: silent,
      now: Date.now,
      random: Math.random,
      config: { ...DEFAULTS, ...config },
      ...deps,
    }),
  );
  const url = `http://${gateway.address}`;
  const transports = new Map<string, Transport>();
  const transport = (protocol: Protocol, headers: Record<string, string>): Transport => {
    const key = JSON.stringify([protocol, headers]);
    const known = transports.get(key) ?? openTransport(url, protocol, headers, stack);
    transports.set(key, known);
    return known;
  };
  const made: GatewayUnderTest = {
    gateway,
    url,
    port: Number(new URL(url).port),
    registry,
    tokens,
    verifier,
    revoked,
    records,
    async probe(ownHandlers, options) {
      const probe = await startProbe(verifier, ownHandlers, options);
      stack.use(probe);
      registry.set(...registry.watchAll().current(), probe.instance);
      return probe;
    },
    async routed(method = "Put") {
      await eventually(async () => {
        const { status } = await fetch(`${url}/${ProbeService.typeName}/${method}`);
        if (status === 404) throw new Error(`${method} is not routed yet`);
      });
    },
    client: (protocol = "connect", headers = {}) => createClient(ProbeService, transport(protocol, headers)),
    clientOf: (service, protocol = "grpc", headers = {}) => createClient(service, transport(protocol, headers)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  if (handlers) {
    await made.probe(handlers);
    await made.routed();
  }
  return made;
}

const DEFAULTS: GatewayDeps["config"] = {
  host: "127.0.0.1",
  port: 0,
  corsOrigins: gatewaySettings.SWITCHBOARD_CORS_ORIGINS.parse(undefined),
  trustedProxies: [],
  addressLimit: 0,
  maxCalls: 1_000,
  maxStreamsPerConnection: 100,
  maxHeaderBytes: 16_384,
};

/** Counts and never forgets: a window that does not end during a test. */
function countingState(): GatewayDeps["state"] {
  const taken = new Map<string, number>();
  return {
    async take(key, limit, cost = 1) {
      const next = (taken.get(key) ?? 0) + cost;
      const allowed = next <= limit.burst;
      if (allowed) taken.set(key, next);
      const remaining = Math.max(0, limit.burst - next);
      return { allowed, remaining, retryAfterMs: allowed ? 0 : 30_000, resetAfterMs: limit.windowMs };
    },
  };
}

export async function* texts(...all: readonly string[]): AsyncGenerator<{ text: string }> {
  for (const text of all) yield { text };
}
