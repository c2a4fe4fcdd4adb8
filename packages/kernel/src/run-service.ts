/**
 * Runs a service as a process: config → open → serve → wait → drain. A service's `main.ts` is one call of this. No step
 * waits for another process to have started: what is lacking is told by readiness, and tried again.
 */

import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { openCallRecorder } from "./audit/call-recorder.ts";
import { consumeOnce } from "./bus/inbox.ts";
import { startOutboxRelay } from "./bus/outbox.ts";
import { startJobs } from "./database/jobs.ts";
import { migrate } from "./database/migrate.ts";
import { openDatabase } from "./database/open-database.ts";
import { createWrites } from "./database/stored-answers.ts";
import { exitOnFault } from "./process/exit-on-fault.ts";
import { openRuntime, type Runtime } from "./process/runtime.ts";
import { aborted } from "./process/stop-signal.ts";
import type { Authorizer } from "./rpc/authorizer.ts";
import { contractHash } from "./rpc/contract-hash.ts";
import { serviceInterceptors } from "./rpc/interceptors/service-interceptors.ts";
import { resolvePolicies } from "./rpc/policies.ts";
import { startServer } from "./rpc/server.ts";
import type { PlatformDeps, Service } from "./service.ts";
import { gauge } from "./telemetry/metrics.ts";
import type { TrustSource } from "./trust/trust-source.ts";

export interface ServiceProgram<Shape extends z.ZodRawShape> {
  /** "identity" */
  readonly name: string;
  /** The build: "0.1.0". */
  readonly version: string;
  /** The service's own settings, by variable. */
  readonly settings: Shape;
  /** The folder of the service's SQL migrations, as a file: URL. */
  readonly migrations: URL;
  create(deps: PlatformDeps, settings: z.infer<z.ZodObject<Shape>>): Program | Promise<Program>;
}

/** A service and, in Auth and Authz alone, what everybody else has to ask them for. */
export interface Program extends Service {
  /** Auth's own keys, revocations and tokens. Default: Auth's, over the network. */
  readonly trust?: TrustSource;
  /** Authz's own graph. Default: Authz's, over the network. */
  readonly authorizer?: Authorizer;
}

/** How long a stopping instance still takes calls from those who have not heard yet that it goes. */
const DEREGISTERED_MS = 500;
const RETRY_MS = 500;

/** Resolves when the process has been told to stop and has drained. */
export async function runService<Shape extends z.ZodRawShape>(
  program: ServiceProgram<Shape>,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { name, version } = program;
  const runtime = await openRuntime(name, program.settings, environment, stack);
  const { config, log, ports, stop, now } = runtime;

  const database = stack.use(
    openDatabase({ url: config.databaseUrl, schema: name, poolSize: config.databasePool, log }),
  );
  runtime.addCheck(() => database.problem());
  const writes = createWrites({ database, secret: config.serviceSecret, now });
  const { authorizer, client } = runtime;
  const { contractOf } = runtime;
  const deps: PlatformDeps = { database, writes, authorizer, client, contractOf, log, now, ...ports };
  const service = await exitOnFault(() => program.create(deps, runtime.settings));
  const { rpcs, consumers = [], jobs = [] } = service;
  const policies = await exitOnFault(() => resolvePolicies(rpcs));
  runtime.addCheck(() => service.problems?.().join("; ") || undefined);

  await untilMigrated(runtime, program);
  if (stop.aborted) return;

  const trust = runtime.openTrust(service.trust);
  const calls = stack.use(openCallRecorder({ bus: ports.bus, service: name, log, now }));
  gauge(runtime.metrics, "audit_records_dropped", "Calls that the audit log was not told of.", () => calls.dropped());

  const server = stack.use(
    await startServer({
      rpcs,
      policies,
      interceptors: serviceInterceptors({
        policies,
        verifier: trust.verifier,
        authorizer: service.authorizer ?? authorizer,
        recordCall: (record) => calls.record(record),
        metrics: runtime.metrics,
        log,
      }),
      serving: () => runtime.problems().length === 0,
      host: config.host,
      port: config.port,
      tls: runtime.serverTls,
      log,
    }),
  );
  stack.use(startOutboxRelay({ database, schema: name, bus: ports.bus, log }));
  if (consumers.length > 0) {
    const subscription = await consumeOnce({ database, bus: ports.bus, group: name, consumers, log });
    stack.defer(() => subscription.end());
  }
  const running = await service.start?.();
  if (running) stack.use(running);
  stack.use(startJobs({ jobs, database, service: name, log }));

  await Promise.race([trust.revocations.ready, aborted(stop)]);
  if (stop.aborted) return;
  const lease = await ports.registry.register({
    service: name,
    instanceId: runtime.instanceId,
    address: `${config.advertisedHost}:${new URL(`http://${server.address}`).port}`,
    version,
    contractHash: contractHash(rpcs),
    rpcServices: rpcs.map(({ descriptor }) => descriptor.typeName),
    metadata: {},
  });
  log.info({ address: server.address, telemetryPort: runtime.telemetryPort }, "serving");
  process.send?.({ type: "listening", telemetryPort: runtime.telemetryPort });

  await aborted(stop);
  log.info({ why: stop.reason }, "stopping");
  await lease.end();
  await delay(DEREGISTERED_MS);
  await server.drain(config.drainMs);
}

/** Brings the schema up to date, as soon as PostgreSQL lets it. */
async function untilMigrated(
  runtime: Runtime<unknown>,
  { name, migrations }: Pick<ServiceProgram<z.ZodRawShape>, "name" | "migrations">,
): Promise<void> {
  const { config, log, stop } = runtime;
  if (config.databaseOwnerUrl === undefined) return;
  let lacking: string | undefined = "the database schema is not up to date yet";
  runtime.addCheck(() => lacking);
  while (!stop.aborted) {
    try {
      const folder = fileURLToPath(migrations);
      await migrate({ url: config.databaseOwnerUrl, schema: name, folder, log, signal: stop });
      lacking = undefined;
      return;
    } catch (error) {
      if (stop.aborted) return;
      log.warn({ err: error }, "the database schema could not be brought up to date; tried again");
    }
    await delay(RETRY_MS, undefined, { signal: stop }).catch(() => {});
  }
}
