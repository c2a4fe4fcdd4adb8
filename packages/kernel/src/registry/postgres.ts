/**
 * The registry in PostgreSQL: one connection and one loop for everything a process registers and watches. A change comes
 * as a notification, a lapse by the clock of the engine, and what was missed with the next read.
 */
import type { Logger } from "pino";
import { SteadyConnection } from "../database/steady-connection.ts";
import { InstanceList } from "./instance-list.ts";
import { PostgresLease } from "./postgres-lease.ts";
import type { Instance, Lease, Registration, Registry, Watch } from "./registry.ts";

export interface PostgresRegistryOptions {
  /** As the role of the service: it may register that service only. */
  readonly url: string;
  readonly log: Logger;
  /** How long a registration lives without renewal, 100 to 300,000. Default 10,000. */
  readonly leaseMs?: number;
  /** How often it is renewed; a third of the lease. Default 3,000. */
  readonly renewMs?: number;
}

const CHANNEL = "switchboard_registry";
/** Reads without a hint, for hints that were lost. */
const POLL_MS = 2_000;
const RETRY_MS = 250;
const TIMEOUT_MS = 3_000;

/** Connects with the first registration or watch. */
export function openPostgresRegistry(options: PostgresRegistryOptions): Registry {
  return new PostgresRegistry(options);
}

class PostgresRegistry implements Registry {
  readonly #options: PostgresRegistryOptions;
  readonly #connection: SteadyConnection;
  readonly #list: InstanceList;
  readonly #leases = new Set<PostgresLease>();
  #watched = false;
  #ended = false;
  #reading = false;
  /** Something may have changed since the read under way began. */
  #readAgain = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PostgresRegistryOptions) {
    this.#options = options;
    const { url, log } = options;
    this.#list = new InstanceList(log);
    const read = () => void this.#read();
    const listen = { channel: CHANNEL, heard: read };
    this.#connection = new SteadyConnection({
      url,
      log,
      purpose: "registry",
      timeoutMs: TIMEOUT_MS,
      listen,
      onReturn: read,
    });
  }

  async register(registration: Registration): Promise<Lease> {
    const { log, leaseMs = 10_000, renewMs = 3_000 } = this.#options;
    const lease = new PostgresLease({ connection: this.#connection, registration, leaseMs, renewMs, log });
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
    return this.#watch(service);
  }

  watchAll(): Watch<Instance> {
    return this.#watch();
  }

  problem(): string | undefined {
    const refused = [...this.#leases].find((lease) => lease.problem !== undefined);
    return this.#connection.problem() ?? refused?.problem;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await Promise.all([...this.#leases].map((lease) => lease.end()));
    await this.#connection[Symbol.asyncDispose]();
  }

  #watch(service?: string): Watch<Instance> {
    const watch = this.#list.watch(service);
    if (!this.#watched) {
      this.#watched = true;
      void this.#read();
    }
    return watch;
  }

  async #read(): Promise<void> {
    if (!this.#watched || this.#ended) return;
    this.#readAgain = this.#reading;
    if (this.#reading) return;
    this.#reading = true;
    clearTimeout(this.#timer);
    const waitMs = await this.#readOnce();
    this.#reading = false;
    if (this.#ended) return;
    if (this.#readAgain) void this.#read();
    else this.#timer = setTimeout(() => void this.#read(), waitMs);
  }

  /** Resolves with how long to wait for the next read. */
  async #readOnce(): Promise<number> {
    try {
      const rows = await this.#connection.query<InstanceRow>("select * from registry.list()");
      this.#list.confirm(rows.map(toInstance));
      const nextLapseMs = Math.min(...rows.map((row) => row.lapse_ms));
      return Math.min(POLL_MS * (0.8 + Math.random() * 0.4), Math.max(nextLapseMs, 0) + 10);
    } catch (error) {
      // One that is away says so through problem(), and calls when it is back.
      if (this.#connection.problem() === undefined && !this.#ended) {
        this.#options.log.error({ err: error }, "the registry cannot be read");
      }
      return RETRY_MS;
    }
  }
}

interface InstanceRow {
  readonly service: string;
  readonly instance_id: string;
  readonly address: string;
  readonly version: string;
  readonly contract_hash: string;
  readonly rpc_services: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly register_ms: number;
  readonly lapse_ms: number;
}

function toInstance(row: InstanceRow): Instance {
  return Object.freeze({
    service: row.service,
    instanceId: row.instance_id,
    address: row.address,
    version: row.version,
    contractHash: row.contract_hash,
    rpcServices: Object.freeze(row.rpc_services),
    metadata: Object.freeze(row.metadata),
    registerTime: Math.round(row.register_ms),
  });
}
