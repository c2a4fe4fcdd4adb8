/**
 * Keeps the one list of a process current from Consul: what its catalog says, less what an instance claims without owning
 * it, and with whom an outage kept from renewing. It registers nothing.
 */
import type { Logger } from "pino";
import { InstanceList } from "../instance-list.ts";
import type { Instance, Watch } from "../registry.ts";
import { ConsulCatalog } from "./catalog.ts";
import type { ConsulClient } from "./client.ts";
import { followIndex } from "./follow-index.ts";
import { type LeasedInstance, OutageGrace } from "./outage-grace.ts";
import { OWNERS_KEY, ownedServices, type PackageOwners, parseOwners } from "./package-owners.ts";
import { NotProvisioned, problemOf } from "./problem.ts";

/** How long a question waits for a change. It bounds the age of the list, and how late an index that went back is seen. */
const WAIT_MS = 1_000;
const OWNERS_WAIT_MS = 10_000;
/**
 * However much changes, at most five readings a second, and fewer where a reading takes many questions: 50 a second, or one
 * reading a second where that takes more.
 */
const GAP_MS = 200;
const GAP_PER_QUESTION_MS = 20;
const MAX_GAP_MS = 1_000;
const RETRY_MS = 250;
/** Reads without a hint, for what a hint missed. */
const REREAD_MS = 60_000;
/** A connection that is back sooner was broken, but the agent was not away. */
const BLIP_MS = 500;

export class ConsulWatcher {
  readonly #client: ConsulClient;
  readonly #log: Logger;
  readonly #catalog: ConsulCatalog;
  readonly #list: InstanceList;
  readonly #grace = new OutageGrace();
  readonly #ended = new AbortController();
  #loops: Promise<unknown> | undefined;
  #healthy: readonly LeasedInstance[] | undefined;
  #owners: PackageOwners | undefined;
  #index = 0;
  #readTime = Number.NEGATIVE_INFINITY;
  /** Since when Consul cannot be read, by performance.now(). */
  #failTime: number | undefined;
  #healthProblem: string | undefined;
  #ownersProblem: string | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  #made: { from: readonly LeasedInstance[]; owners: PackageOwners; instances: readonly Instance[] } | undefined;

  constructor(client: ConsulClient, log: Logger) {
    this.#client = client;
    this.#log = log;
    this.#catalog = new ConsulCatalog(client);
    this.#list = new InstanceList(log);
  }

  /** Begins to ask with the first watch. */
  watch(service?: string): Watch<Instance> {
    this.#loops ??= Promise.all([this.#followHealth(), this.#followOwners()]);
    return this.#list.watch(service);
  }

  problem(): string | undefined {
    return this.#healthProblem ?? this.#ownersProblem;
  }

  async end(): Promise<void> {
    this.#ended.abort();
    clearTimeout(this.#graceTimer);
    await this.#loops;
  }

  #followHealth(): Promise<void> {
    return followIndex<unknown>({
      signal: this.#ended.signal,
      gapMs: () => Math.min(MAX_GAP_MS, Math.max(GAP_MS, this.#catalog.questions() * GAP_PER_QUESTION_MS)),
      retryMs: RETRY_MS,
      ask: (index, signal) => this.#catalog.awaitChange(index, WAIT_MS, signal),
      changed: (_value, index) => this.#read(index),
      unchanged: async () => {
        if (performance.now() - this.#readTime > REREAD_MS) await this.#read(this.#index);
        else this.#confirm();
      },
      failed: (error) => {
        this.#failTime ??= performance.now();
        this.#healthProblem = this.#told(this.#healthProblem, error);
      },
    });
  }

  async #read(index: number): Promise<void> {
    const healthy = await this.#catalog.read(this.#ended.signal);
    const now = performance.now();
    const outageMs = this.#failTime === undefined ? 0 : now - this.#failTime;
    if (outageMs > BLIP_MS || index < this.#index) this.#grace.returned(now, outageMs);
    this.#index = index;
    this.#readTime = now;
    this.#healthy = healthy;
    this.#confirm();
  }

  #followOwners(): Promise<void> {
    const { kv } = this.#client.api;
    return followIndex<{ readonly Value: string } | undefined>({
      signal: this.#ended.signal,
      gapMs: () => GAP_MS,
      retryMs: RETRY_MS,
      ask: (index, signal) =>
        this.#client.call(kv, kv.get, { key: OWNERS_KEY }, { index, waitMs: OWNERS_WAIT_MS, signal }),
      changed: (entry) => {
        // An agent that keeps nothing lost it: what was known holds until it is provisioned anew.
        if (entry === undefined) return this.#withoutOwners(new NotProvisioned());
        this.#owners = parseOwners(entry.Value);
        this.#ownersProblem = undefined;
        this.#publish();
      },
      unchanged: () => {},
      failed: (error) => this.#withoutOwners(error),
    });
  }

  /** A problem only where there is no last good answer: while Consul is away, the other question says so. */
  #withoutOwners(error: unknown): void {
    if (this.#owners === undefined) this.#ownersProblem = this.#told(this.#ownersProblem, error);
  }

  /** Consul answered: what is known is what is there. */
  #confirm(): void {
    this.#failTime = undefined;
    this.#healthProblem = undefined;
    this.#publish();
  }

  #publish(): void {
    // While Consul is away the list has an age, which nothing but its answer ends.
    if (this.#healthy === undefined || this.#owners === undefined || this.#failTime !== undefined) return;
    const now = performance.now();
    this.#list.confirm(this.#instances(this.#grace.believed(now, this.#healthy), this.#owners));
    clearTimeout(this.#graceTimer);
    const waitMs = this.#grace.nextEnd() - now;
    if (waitMs < WAIT_MS) this.#graceTimer = setTimeout(() => this.#publish(), waitMs + 1);
  }

  /** The same array where nothing is new. */
  #instances(from: readonly LeasedInstance[], owners: PackageOwners): readonly Instance[] {
    if (this.#made?.from !== from || this.#made.owners !== owners) {
      const instances = from.map(({ instance }) => trusted(instance, owners)).sort(byServiceThenId);
      this.#made = { from, owners, instances };
    }
    return this.#made.instances;
  }

  /** The problem in words; the log has it once. */
  #told(before: string | undefined, error: unknown): string {
    const problem = problemOf(error);
    if (problem !== before) this.#log.warn({ err: error }, problem);
    return problem;
  }
}

/** Only what its service owns counts of what an instance says that it serves. */
function trusted(instance: Instance, owners: PackageOwners): Instance {
  const rpcServices = ownedServices(owners, instance.service, instance.rpcServices);
  return Object.freeze({ ...instance, rpcServices });
}

function byServiceThenId(a: Instance, b: Instance): number {
  return byBytes(a.service, b.service) || byBytes(a.instanceId, b.instanceId);
}

function byBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
