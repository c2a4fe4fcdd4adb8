/** grpc.health.v1: whether this process can serve, as a whole (the empty name) and for each of its services. */
import { setTimeout as delay } from "node:timers/promises";
import { AppError } from "@switchboard/contract/app-error";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@switchboard/gen/health/v1/health_pb";
import { type Rpc, rpc } from "../service.ts";

/** How often a watcher's status is looked at. */
const WATCH_INTERVAL_MS = 250;

/** @param serving asked for each answer, with a service's full name, or "" for the whole process. */
export function healthRpc(serviceNames: Iterable<string>, serving: (service: string) => boolean): Rpc {
  const names = new Set(["", ...serviceNames]);
  const statusOf = (service: string) =>
    names.has(service) ? (serving(service) ? Status.SERVING : Status.NOT_SERVING) : Status.SERVICE_UNKNOWN;
  return rpc(Health, {
    check({ service }) {
      if (!names.has(service)) throw new AppError("NOT_FOUND", "no service of that name is served here");
      return { status: statusOf(service) };
    },
    async *watch({ service }, { signal }) {
      let told: Status | undefined;
      while (!signal.aborted) {
        const status = statusOf(service);
        if (status !== told) yield { status };
        told = status;
        await delay(WATCH_INTERVAL_MS, undefined, { signal, ref: false });
      }
    },
    list: () => ({ statuses: Object.fromEntries([...names].map((name) => [name, { status: statusOf(name) }])) }),
  });
}
