/** Runs the gateway as a process: config → open → serve → wait → drain. It listens first and says in its readiness what it lacks. */
import { setTimeout as delay } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { GatewayService } from "@switchboard/gen/switchboard/gateway/v1/gateway_service_pb";
import { openCallRecorder } from "@switchboard/kernel/audit/call-recorder";
import type { Environment } from "@switchboard/kernel/config/read-settings";
import { openRuntime, type Runtime } from "@switchboard/kernel/process/runtime";
import { aborted } from "@switchboard/kernel/process/stop-signal";
import { contractHash } from "@switchboard/kernel/rpc/contract-hash";
import { startServer } from "@switchboard/kernel/rpc/server";
import { rpc } from "@switchboard/kernel/service";
import { gauge } from "@switchboard/kernel/telemetry/metrics";
import type { z } from "zod";
import { gatewayConfig, gatewaySettings } from "./config.ts";
import { createGateway, SERVICE } from "./gateway.ts";
import { readPolicyOverlay } from "./policy-overlay.ts";

const VERSION = "0.1.0";
/** How long others may take to hear that this instance goes. */
const DEREGISTERED_MS = 500;

/** Resolves when the process has been told to stop and has drained. */
export async function runGateway(environment: Environment): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const runtime = await openRuntime(SERVICE, gatewaySettings, environment, stack);
  const { config, log, metrics, now, ports, settings, stop } = runtime;
  const calls = stack.use(openCallRecorder({ bus: ports.bus, service: SERVICE, log, now }));
  const auth = runtime.client(AuthService);
  const { revocations, verifier } = runtime.openTrust();
  const overlayFile = settings.SWITCHBOARD_GATEWAY_POLICY_OVERLAY;
  const policyOverlay = overlayFile === undefined ? undefined : await readPolicyOverlay(overlayFile);

  const gateway = stack.use(
    await createGateway({
      registry: ports.registry,
      state: ports.state,
      verifier,
      revocations,
      authorizer: runtime.authorizer,
      serviceToken: runtime.serviceToken,
      async exchangeApiKey(secret) {
        const { accessToken, expireTime } = await auth.exchangeApiKey({ secret });
        return { accessToken, expireTime: expireTime ? timestampMs(expireTime) : 0 };
      },
      recordCall: calls.record,
      log,
      metrics,
      now,
      random: Math.random,
      contractOf: runtime.contractOf,
      healthOf: runtime.healthOf,
      policyOverlay,
      clientTls: runtime.clientTls,
      problems: runtime.problems,
      config: gatewayConfig(config, settings, runtime.serverTls),
    }),
  );
  runtime.addCheck(gateway.problem);
  gauge(metrics, "audit_records_dropped", "Calls that the audit log was not told of.", calls.dropped);
  gauge(metrics, "gateway_uncounted_calls", "Calls that passed without being counted.", gateway.uncountedCalls);
  const lease = await register(runtime, stack);
  log.info({ address: gateway.address, telemetryPort: runtime.telemetryPort }, "serving");
  process.send?.({ type: "listening", telemetryPort: runtime.telemetryPort, address: gateway.address });

  await aborted(stop);
  log.info({ why: stop.reason }, "stopping");
  await lease?.end();
  await delay(DEREGISTERED_MS);
  await gateway.drain(config.drainMs);
}

/**
 * Makes the gateway's own contract known, as every service's: Authz learns its model from there. The address is of a
 * port of its own, with TLS where processes call one another so, that answers reflection and health and no other call.
 */
async function register(runtime: Runtime<z.infer<z.ZodObject<typeof gatewaySettings>>>, stack: AsyncDisposableStack) {
  const { config, instanceId, log, ports, stop } = runtime;
  const rpcs = [rpc(GatewayService, {})];
  const tls = runtime.clientTls && runtime.serverTls;
  const server = stack.use(await startServer({ rpcs, host: config.host, port: 0, tls, log }));
  const registered = ports.registry.register({
    service: SERVICE,
    instanceId,
    address: `${config.advertisedHost}:${new URL(`http://${server.address}`).port}`,
    version: VERSION,
    contractHash: contractHash(rpcs),
    rpcServices: rpcs.map(({ descriptor }) => descriptor.typeName),
    metadata: {},
  });
  return Promise.race([registered, aborted(stop)]);
}
