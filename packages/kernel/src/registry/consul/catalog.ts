/**
 * The healthy instances in Consul's catalog. One question about all checks says which services changed; only those are
 * read again. It waits for nothing and keeps nothing alive.
 */
import { type ConsulClient, ConsulRefusal } from "./client.ts";
import type { LeasedInstance } from "./outage-grace.ts";
import { type ConsulService, fromService, TAG } from "./service-entry.ts";

/** As in the answers of /health/state. */
interface Check {
  readonly Node: string;
  readonly CheckID: string;
  readonly Status: string;
  readonly Notes: string;
  /** "" for a check of the node. */
  readonly ServiceName: string;
}

/** As in the answers of /health/service, with the checks of the node too. */
interface Entry {
  readonly Service: ConsulService;
  readonly Checks: readonly Check[];
}

interface Service {
  /** Of the checks that `instances` were judged by, not of those that led to the question: they may have changed since. */
  readonly digest: string;
  readonly instances: readonly LeasedInstance[];
}

/** Matches nothing: an answer with an index and no content. */
const NOTHING = 'ServiceName == "" and CheckID == ""';
const OURS = `ServiceName == "" or ${JSON.stringify(TAG)} in ServiceTags`;
const PARALLEL = 4;

export class ConsulCatalog {
  readonly #client: ConsulClient;
  #services = new Map<string, Service>();
  #questions = 0;

  constructor(client: ConsulClient) {
    this.#client = client;
  }

  /** How many the last reading took. */
  questions(): number {
    return this.#questions;
  }

  /** The index of all checks; with one given, as soon as there is another, or when the wait is over. */
  awaitChange(index: number | undefined, waitMs: number, signal: AbortSignal) {
    const { health } = this.#client.api;
    return this.#client.call<unknown>(
      health,
      health.state,
      { state: "any", filter: NOTHING },
      { index, waitMs, signal },
    );
  }

  /** The instances whose node and leases are in order. */
  async read(signal: AbortSignal): Promise<readonly LeasedInstance[]> {
    const { health } = this.#client.api;
    this.#questions = 1;
    const checks = await this.#client.call<readonly Check[]>(
      health,
      health.state,
      { state: "any", filter: OURS },
      { signal },
    );
    if (checks.value.length === 0) {
      // A server of Consul is a node itself: no node is what is shown to a token that may read none.
      throw new ConsulRefusal(403, "Consul shows no node", undefined);
    }
    const digests = digestsOf(checks.value);
    const names = [...digests.keys()];
    const services = new Map<string, Service>();
    const readNext = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        const digest = digests.get(name) ?? "";
        const known = this.#services.get(name);
        services.set(name, known?.digest === digest ? known : await this.#service(name, signal));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, readNext));
    this.#services = services;
    return [...services.values()].flatMap(({ instances }) => instances);
  }

  async #service(service: string, signal: AbortSignal): Promise<Service> {
    this.#questions += 1;
    const { health } = this.#client.api;
    const { value } = await this.#client.call<readonly Entry[]>(
      health,
      health.service,
      { service, tag: TAG },
      { signal },
    );
    const healthy = value.filter(({ Checks }) => Checks.every(({ Status }) => Status === "passing"));
    return {
      digest: digestsOf(value.flatMap(({ Checks }) => Checks)).get(service) ?? "",
      instances: healthy.flatMap(({ Service }) => fromService(Service) ?? []),
    };
  }
}

/** For each service what its instances' health depends on: equal for equal checks, in whatever order and however often. */
function digestsOf(checks: readonly Check[]): Map<string, string> {
  const nodes = new Map<string, Set<string>>();
  const services = new Map<string, Set<string>>();
  for (const check of checks) {
    if (check.ServiceName === "") add(nodes, check.Node, lineOf(check));
    else add(services, check.ServiceName, lineOf(check));
  }
  for (const { ServiceName, Node } of checks) {
    if (ServiceName === "") continue;
    for (const line of nodes.get(Node) ?? []) add(services, ServiceName, line);
  }
  return new Map([...services].map(([service, lines]) => [service, [...lines].sort().join("\n")]));
}

function lineOf({ Node, CheckID, Status, Notes }: Check): string {
  return `${Node} ${CheckID}=${Status} ${Notes}`;
}

function add(map: Map<string, Set<string>>, key: string, line: string): void {
  const lines = map.get(key);
  if (lines) lines.add(line);
  else map.set(key, new Set([line]));
}
