/** The health of a running instance, as it says itself over grpc.health.v1. Not what the balancer sees from outside. */
import { createClient } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@switchboard/gen/health/v1/health_pb";
import type { Logger } from "pino";
import type { Instance } from "../registry/registry.ts";
import { openEndpoint } from "./endpoint.ts";
import type { ChannelTls } from "./session.ts";

export interface RemoteHealthOptions {
  readonly log: Logger;
  readonly now: () => number;
  readonly tls?: ChannelTls | undefined;
  /** Default 1,000. */
  readonly timeoutMs?: number;
}

/** Whether it says SERVING; false also where it does not answer in time. */
export async function fetchHealth(
  instance: Instance,
  service: string,
  { log, now, tls, timeoutMs = 1_000 }: RemoteHealthOptions,
): Promise<boolean> {
  const endpoint = openEndpoint(instance, { log, now, tls });
  const call = { bidi: false, repeatable: true, resendable: () => true };
  try {
    const { status } = await endpoint.attempt(call, (transport) =>
      createClient(Health, transport).check({ service }, { timeoutMs }),
    );
    return status === Status.SERVING;
  } catch {
    return false;
  } finally {
    endpoint.destroy();
  }
}
