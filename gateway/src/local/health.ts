/** grpc.health.v1 for the gateway: for itself (the empty name), and for services, whether an instance can be reached. */
import { AppError } from "@switchboard/contract/app-error";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@switchboard/gen/health/v1/health_pb";
import type { EndpointStatus } from "@switchboard/kernel/rpc/balancer";
import { type Rpc, rpc } from "@switchboard/kernel/service";

export function healthRpc(options: {
  readonly endpoints: () => readonly EndpointStatus[];
  readonly draining: () => boolean;
}): Rpc {
  const { draining, endpoints } = options;
  return rpc(Health, {
    check({ service }) {
      const serving = endpoints().filter(({ instance }) => service === "" || instance.rpcServices.includes(service));
      if (service !== "" && serving.length === 0) {
        throw new AppError("NOT_FOUND", "no service of that name can be called through this gateway");
      }
      const reachable = service === "" || serving.some(({ available }) => available);
      return { status: reachable && !draining() ? Status.SERVING : Status.NOT_SERVING };
    },
  });
}
