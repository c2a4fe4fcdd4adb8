/**
 * grpc.health.v1 for the gateway: of itself (the empty name), and of each service, whether an instance says that it can
 * serve. Instances are asked once a second at most, however many ask here.
 */
import { AppError } from "@switchboard/contract/app-error";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@switchboard/gen/health/v1/health_pb";
import type { Instance } from "@switchboard/kernel/registry/registry";
import type { EndpointStatus } from "@switchboard/kernel/rpc/balancer";
import { type Rpc, rpc } from "@switchboard/kernel/service";

export interface GatewayHealthOptions {
  readonly endpoints: () => readonly EndpointStatus[];
  readonly healthOf: (instance: Instance, service: string) => Promise<boolean>;
  /** What this gateway lacks; empty: it can serve. */
  readonly problems: () => readonly string[];
  readonly draining: () => boolean;
  readonly now: () => number;
}

const KEPT_MS = 1_000;

export function healthRpc({ draining, endpoints, healthOf, now, problems }: GatewayHealthOptions): Rpc {
  /** By service; names come from registrations, so their number is bounded. */
  const kept = new Map<string, { readonly askTime: number; readonly serving: Promise<boolean> }>();

  const askAny = async (service: string, serving: readonly EndpointStatus[]): Promise<boolean> => {
    const answers = serving.map(async ({ instance }) => {
      if (!(await healthOf(instance, service))) throw new Error("not serving");
    });
    return Promise.any(answers).then(
      () => true,
      () => false,
    );
  };
  const isServing = (service: string): Promise<boolean> => {
    const known = kept.get(service);
    if (known && now() - known.askTime < KEPT_MS) return known.serving;
    const having = endpoints().filter(({ instance }) => instance.rpcServices.includes(service));
    if (having.length === 0) {
      kept.delete(service);
      throw new AppError("NOT_FOUND", "no service of that name can be called through this gateway");
    }
    const serving = askAny(
      service,
      having.filter(({ available }) => available),
    );
    kept.set(service, { askTime: now(), serving });
    return serving;
  };

  return rpc(Health, {
    async check({ service }) {
      const serving = service === "" ? problems().length === 0 : await isServing(service);
      return { status: serving && !draining() ? Status.SERVING : Status.NOT_SERVING };
    },
  });
}
