/**
 * The registry in Consul: an instance is a service of the agent whose lease is a TTL check; one question about all checks,
 * which answers when something changes, keeps the list of a process. What a service may claim to serve is what
 * provisioning assigned to its name; see consul/provision.ts.
 */
import type { Logger } from "pino";
import { ConsulClient, type ConsulClientOptions } from "./consul/client.ts";
import { ConsulLease } from "./consul/lease.ts";
import { ConsulWatcher } from "./consul/watcher.ts";
import type { Instance, Lease, Registration, Registry, Watch } from "./registry.ts";

/** The token is the service's own: it may register that service only. */
export interface ConsulRegistryOptions extends ConsulClientOptions {
  readonly log: Logger;
  /** How long a registration lives without renewal. Default 10,000. */
  readonly leaseMs?: number;
  /** How often it is renewed; a third of the lease. Default 3,000. */
  readonly renewMs?: number;
}

/** Connects with the first registration or watch. */
export function openConsulRegistry(options: ConsulRegistryOptions): Registry {
  return new ConsulRegistry(options);
}

class ConsulRegistry implements Registry {
  readonly #options: ConsulRegistryOptions;
  readonly #client: ConsulClient;
  readonly #watcher: ConsulWatcher;
  readonly #leases = new Set<ConsulLease>();

  constructor(options: ConsulRegistryOptions) {
    this.#options = options;
    this.#client = new ConsulClient(options);
    this.#watcher = new ConsulWatcher(this.#client, options.log);
  }

  async register(registration: Registration): Promise<Lease> {
    const { log, leaseMs = 10_000, renewMs = 3_000 } = this.#options;
    const lease = new ConsulLease({ client: this.#client, registration, leaseMs, renewMs, log });
    this.#leases.add(lease);
    try {
      await lease.begin();
    } catch (error) {
      this.#leases.delete(lease);
      throw error;
    }
    return {
      end: async () => {
        this.#leases.delete(lease);
        await lease.end();
      },
    };
  }

  watchInstances(service: string): Watch<Instance> {
    return this.#watcher.watch(service);
  }

  watchAll(): Watch<Instance> {
    return this.#watcher.watch();
  }

  problem(): string | undefined {
    const unkept = [...this.#leases].find((lease) => lease.problem !== undefined);
    return this.#watcher.problem() ?? unkept?.problem;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#watcher.end(), ...[...this.#leases].map((lease) => lease.end())]);
    this.#client.close();
  }
}
