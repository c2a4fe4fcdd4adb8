/**
 * The instances of all services as the gateway sends to them: a balancer and a retry budget per service, a pool of HTTP/2
 * sessions per instance. Choosing and breaking are kernel/rpc's; what is sent is the forward stage's.
 */
import type { Instance } from "@switchboard/kernel/registry/registry";
import { type Balancer, createBalancer, type EndpointStatus, type Pick } from "@switchboard/kernel/rpc/balancer";
import { createRetryBudget, type RetryBudget } from "@switchboard/kernel/rpc/retry";
import type { ChannelTls } from "@switchboard/kernel/rpc/session";
import { createSessionPool, type SessionPool } from "@switchboard/kernel/rpc/session-pool";
import type { Route } from "../route-table.ts";

export interface Upstreams extends Disposable {
  update(instances: readonly Instance[]): void;
  /** An instance that has the method, rather one that was not tried; undefined: there is none. */
  pick(route: Route, tried: ReadonlySet<string>): Pick | undefined;
  /** Whether an instance is left that was not tried and does not fail. */
  othersLeft(route: Route, tried: ReadonlySet<string>): boolean;
  sessions(instance: Instance): SessionPool;
  budget(route: Route): RetryBudget;
  /** Calls back with the next change of the instances. @returns what ends the waiting for it. */
  onceChanged(listener: () => void): () => void;
  endpoints(): readonly EndpointStatus[];
}

export interface UpstreamsOptions {
  readonly now: () => number;
  readonly random: () => number;
  /** Undefined: without TLS. */
  readonly tls?: ChannelTls | undefined;
}

/** How connections to instances are watched; as the service clients do. */
const SESSION_TIMING = { connectTimeoutMs: 2_000, pingIntervalMs: 10_000, pingTimeoutMs: 3_000 };

export function createUpstreams(options: UpstreamsOptions): Upstreams {
  const { tls } = options;
  const services = new Map<string, { readonly balancer: Balancer; readonly budget: RetryBudget }>();
  const pools = new Map<string, SessionPool>();
  const waiting = new Set<() => void>();

  const serviceOf = (name: string) => {
    const known = services.get(name);
    if (known) return known;
    const made = { balancer: createBalancer(options), budget: createRetryBudget() };
    services.set(name, made);
    return made;
  };
  const excluding = ({ lacking }: Route, tried: ReadonlySet<string>) =>
    tried.size === 0 ? lacking : lacking.size === 0 ? tried : lacking.union(tried);

  return {
    update(instances) {
      const present = new Set(instances.map((instance) => instance.instanceId));
      for (const [id, pool] of pools) {
        if (present.has(id)) continue;
        pool.close();
        pools.delete(id);
      }
      const names = new Set([...services.keys(), ...instances.map(({ service }) => service)]);
      for (const name of names) {
        serviceOf(name).balancer.update(instances.filter(({ service }) => service === name));
      }
      const woken = [...waiting];
      waiting.clear();
      for (const listener of woken) listener();
    },
    pick(route, tried) {
      const { balancer } = serviceOf(route.service);
      const fitting = { methodServed: route.rpcService, stream: route.clientStreaming || route.serverStreaming };
      return (
        balancer.pick({ ...fitting, exclude: excluding(route, tried) }) ??
        (tried.size > 0 ? balancer.pick({ ...fitting, exclude: route.lacking }) : undefined)
      );
    },
    othersLeft(route, tried) {
      const excluded = excluding(route, tried);
      return serviceOf(route.service)
        .balancer.endpoints()
        .some(({ available, instance }) => available && !excluded.has(instance.instanceId));
    },
    sessions(instance) {
      const known = pools.get(instance.instanceId);
      if (known) return known;
      const pool = createSessionPool({
        origin: `${tls ? "https" : "http"}://${instance.address}`,
        tls,
        ...SESSION_TIMING,
      });
      pools.set(instance.instanceId, pool);
      return pool;
    },
    budget: (route) => serviceOf(route.service).budget,
    onceChanged(listener) {
      waiting.add(listener);
      return () => waiting.delete(listener);
    },
    endpoints: () => [...services.values()].flatMap(({ balancer }) => balancer.endpoints()),
    [Symbol.dispose]() {
      for (const pool of pools.values()) pool.destroy();
      pools.clear();
    },
  };
}
