/** The process's own metrics, in Prometheus's terms. Names follow OpenTelemetry's semantic conventions for RPC. */
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export interface Metrics {
  readonly registry: Registry;
  /** Seconds from a call's arrival to its end, by method and code ("ok", "not_found", …). */
  readonly serverDuration: Histogram<"rpc_method" | "rpc_response_status_code">;
  /** The same, seen from the caller. */
  readonly clientDuration: Histogram<"rpc_method" | "rpc_response_status_code">;
}

const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const labelNames = ["rpc_method", "rpc_response_status_code"] as const;

export function createMetrics(labels: { service: string; instance: string }): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    serverDuration: new Histogram({
      name: "rpc_server_call_duration_seconds",
      help: "Duration of calls that this process served.",
      labelNames,
      buckets,
      registers,
    }),
    clientDuration: new Histogram({
      name: "rpc_client_call_duration_seconds",
      help: "Duration of calls that this process made, retries included.",
      labelNames,
      buckets,
      registers,
    }),
  };
}

/** A gauge that is read when somebody scrapes. */
export function gauge(metrics: Metrics, name: string, help: string, read: () => number | Promise<number>): void {
  new Gauge({
    name,
    help,
    registers: [metrics.registry],
    async collect() {
      this.set(await read());
    },
  });
}
