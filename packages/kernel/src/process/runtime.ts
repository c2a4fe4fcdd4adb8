/**
 * What a process of the platform has before it knows what it serves: its settings, log and metrics, the ports, its own
 * token, typed clients, the verifier of others' tokens, and the readiness that all of them add to. Services get it from
 * `run-service.ts`; the gateway uses it directly.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import type { Logger } from "pino";
import type { z } from "zod";
import { type PlatformConfig, platformConfig, platformSettings } from "../config/platform-settings.ts";
import { type Environment, readSettings } from "../config/read-settings.ts";
import { openPorts, type Ports } from "../open.ts";
import type { Instance } from "../registry/registry.ts";
import type { Authorizer } from "../rpc/authorizer.ts";
import { type Clients, openClients } from "../rpc/clients.ts";
import { remoteAuthorizer } from "../rpc/remote-authorizer.ts";
import { fetchContract } from "../rpc/remote-contract.ts";
import { fetchHealth } from "../rpc/remote-health.ts";
import type { ChannelTls } from "../rpc/session.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createMetrics, gauge, type Metrics } from "../telemetry/metrics.ts";
import { startTelemetryServer } from "../telemetry/telemetry-server.ts";
import { type KeySource, openKeySource } from "../trust/key-source.ts";
import { openRevocations, type Revocations } from "../trust/revocations.ts";
import { openServiceToken } from "../trust/service-token.ts";
import { createTokenVerifier, type TokenVerifier } from "../trust/token-verifier.ts";
import { remoteTrust, type TrustSource } from "../trust/trust-source.ts";
import { exitOnFault } from "./exit-on-fault.ts";
import { stopSignal } from "./stop-signal.ts";

export interface Runtime<Settings> {
  readonly name: string;
  readonly instanceId: string;
  readonly config: PlatformConfig;
  readonly settings: Settings;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ports: Ports;
  readonly authorizer: Authorizer;
  readonly telemetryPort: number;
  /** What the process shows on its RPC port; undefined: no TLS. */
  readonly serverTls: { readonly cert: string; readonly key: string } | undefined;
  /** How it calls the others; undefined: without TLS. */
  readonly clientTls: ChannelTls | undefined;
  /** Aborts when the process is to stop. */
  readonly stop: AbortSignal;
  /** What is closed at the end, the last one first. */
  readonly stack: AsyncDisposableStack;
  client<Desc extends DescService>(service: Desc): Client<Desc>;
  /** This process's own service token. */
  serviceToken(): Promise<string>;
  now(): number;
  /** Adds to readiness: what the process lacks, or undefined. */
  addCheck(check: () => string | undefined): void;
  /** What it lacks; empty: ready. */
  problems(): readonly string[];
  /** The descriptors of the services that an instance is registered with, from its reflection. */
  contractOf(instance: Instance): Promise<readonly DescService[]>;
  /** Whether an instance says that one of its services can serve. */
  healthOf(instance: Instance, service: string): Promise<boolean>;
  /** Starts to load keys and revocations. Default source: Auth, over the network. */
  openTrust(source?: TrustSource): Trust;
}

export interface Trust {
  readonly keys: KeySource;
  readonly revocations: Revocations;
  readonly verifier: TokenVerifier;
}

/**
 * Opens it. Settings that cannot be used end the process.
 * @param shape The process's own settings, beside those of `platform-settings.ts`.
 */
export async function openRuntime<Shape extends z.ZodRawShape>(
  name: string,
  shape: Shape,
  environment: Environment,
  stack: AsyncDisposableStack,
): Promise<Runtime<z.infer<z.ZodObject<Shape>>>> {
  const read = await exitOnFault(() => {
    // Together, so that all faults are told at once.
    const all = readSettings({ ...platformSettings, ...shape }, environment);
    return { config: platformConfig(all as never), settings: all as never };
  });
  const { config, settings } = read;
  const instanceId = randomUUID();
  const log = createLogger({ level: config.logLevel, service: name, instanceId });
  const metrics = createMetrics({ service: name, instance: instanceId });
  const now = () => Date.now();
  const stop = stopSignal();

  const checks: Array<() => string | undefined> = [];
  const problems = () => checks.flatMap((check) => check() ?? []);
  const telemetry = stack.use(
    await startTelemetryServer({ host: config.host, port: config.telemetryPort, metrics: metrics.registry, problems }),
  );
  const { serverTls, clientTls } = await readTls(config);
  const ports = await openPorts(config, name, log, stack);
  for (const port of [ports.registry, ports.bus, ports.state]) checks.push(() => port.problem());

  const source = Promise.withResolvers<TrustSource>();
  const token = stack.use(
    openServiceToken({ issue: async () => (await source.promise).issueServiceToken(), now, log }),
  );
  checks.push(() => token.problem());
  const open = (own: Pick<Parameters<typeof openClients>[0], "token">): Clients =>
    stack.use(
      openClients({ registry: ports.registry, log, now, random: Math.random, tls: clientTls, metrics, ...own }),
    );
  const bare = open({});
  const clients = open({ token: () => token.get() });

  return {
    name,
    instanceId,
    config,
    settings,
    log,
    metrics,
    ports,
    authorizer: remoteAuthorizer(clients.client(AuthzService)),
    telemetryPort: telemetry.port,
    serverTls,
    clientTls,
    stop,
    stack,
    client: (service) => clients.client(service),
    serviceToken: () => token.get(),
    now,
    addCheck: (check) => void checks.push(check),
    problems,
    contractOf: (instance) => fetchContract(instance, { log, now, tls: clientTls }),
    healthOf: (instance, service) => fetchHealth(instance, service, { log, now, tls: clientTls }),
    openTrust(own) {
      const trust = own ?? remoteTrust({ service: name, secret: config.serviceSecret, bare, clients });
      source.resolve(trust);
      const keys = stack.use(openKeySource({ fetch: trust.fetchKeys, now, log }));
      const revocations = stack.use(openRevocations({ list: trust.listRevocations, bus: ports.bus, now, log }));
      gauge(
        metrics,
        "revocations_staleness_seconds",
        "How long ago the list of revocations was last known to be complete.",
        () => revocations.stalenessMs() / 1_000,
      );
      checks.push(
        () => keys.problem(),
        () => revocations.problem(),
      );
      return { keys, revocations, verifier: createTokenVerifier({ keys, revocations, now }) };
    },
  };
}

async function readTls({ tls, tlsCaFile }: PlatformConfig): Promise<Pick<Runtime<unknown>, "serverTls" | "clientTls">> {
  const read = (file: string) => readFile(file, "utf8");
  return {
    serverTls: tls && { cert: await read(tls.certFile), key: await read(tls.keyFile) },
    clientTls: tlsCaFile === undefined ? undefined : { ca: await read(tlsCaFile) },
  };
}
