/**
 * The route table, kept current: watches the registry, learns each contract once, and swaps the whole table at a time.
 * While the registry is away the last table holds, and so does a service's last contract while it has no instance: its
 * calls are `unavailable` then, not unknown.
 */
import type { DescService } from "@bufbuild/protobuf";
import type { PolicyOverlay } from "@switchboard/contract/policy";
import type { Instance, Registry, Watch } from "@switchboard/kernel/registry/registry";
import type { Logger } from "pino";
import { buildRoutes, type Deployment, type Route, type RouteTable } from "./route-table.ts";

export interface LiveRoutesOptions {
  readonly registry: Registry;
  /** The gateway's own name: its instances are not routed to. */
  readonly ownService: string;
  /** Routes that the gateway answers itself. */
  readonly local: readonly Route[];
  /** Policies for contracts of others. */
  readonly policyOverlay?: PolicyOverlay | undefined;
  readonly fetchContract: (instance: Instance) => Promise<readonly DescService[]>;
  /** Told of the instances after the table knows them. */
  readonly onInstances: (instances: readonly Instance[]) => void;
  readonly log: Logger;
}

export interface LiveRoutes extends Disposable {
  find(path: string): Route | undefined;
  table(): RouteTable;
  /** The descriptors behind the table, by service. */
  contracts(): readonly (readonly DescService[])[];
  instances(): readonly Instance[];
  /** The gateways that are registered, this one included. */
  gateways(): readonly Instance[];
  /** Milliseconds since the registry last answered. */
  ageMs(): number;
  /** Undefined: the registry has answered. */
  problem(): string | undefined;
}

/** Between two tries to learn a contract; doubled with each, up to the most. */
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;

export function openLiveRoutes(options: LiveRoutesOptions): LiveRoutes {
  const { fetchContract, local, log, onInstances, ownService, registry } = options;
  const watch: Watch<Instance> = registry.watchAll();
  const contracts = new Map<string, readonly DescService[]>();
  /** The keys of the contracts that each service was last seen with. */
  const lastKeys = new Map<string, readonly string[]>();
  const learning = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();
  let instances: readonly Instance[] = [];
  let gateways: readonly Instance[] = [];
  let table: RouteTable = new Map();
  let toldFaults = "";
  let closed = false;

  const learn = async (key: string, tries: number): Promise<void> => {
    const candidates = instances.filter((instance) => keyOf(instance) === key);
    const instance = candidates[tries % candidates.length];
    if (instance === undefined || contracts.has(key) || closed) return void learning.delete(key);
    try {
      contracts.set(key, await fetchContract(instance));
      learning.delete(key);
      log.info({ routeService: instance.service, contract: instance.contractHash }, "learnt a contract");
      if (!closed) update();
    } catch (error) {
      log.warn(
        { err: error, address: instance.address, routeService: instance.service },
        "a contract is not known yet",
      );
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          void learn(key, tries + 1);
        },
        Math.min(FIRST_RETRY_MS * 2 ** tries, MAX_RETRY_MS),
      );
      timers.add(timer);
    }
  };

  const deployments = (): Deployment[] => {
    const ids = new Map<string, string[]>();
    for (const instance of instances) {
      const key = keyOf(instance);
      ids.set(key, [...(ids.get(key) ?? []), instance.instanceId]);
    }
    const services = new Map(instances.map((instance) => [instance.service, new Set<string>()]));
    for (const instance of instances) services.get(instance.service)?.add(keyOf(instance));
    const found: Deployment[] = [];
    for (const service of new Set([...services.keys(), ...lastKeys.keys()])) {
      const present = [...(services.get(service) ?? [])];
      const known = present.filter((key) => contracts.has(key));
      if (known.length > 0) lastKeys.set(service, known);
      const keys = new Set([...present, ...(lastKeys.get(service) ?? [])]);
      for (const key of keys) found.push({ service, contract: contracts.get(key), instanceIds: ids.get(key) ?? [] });
    }
    return found;
  };

  const update = () => {
    const current = deployments();
    const built = buildRoutes(current, options.policyOverlay);
    table = new Map([...built.table, ...local.map((route) => [route.path, route] as const)]);
    const faults = built.faults.join("\n");
    if (faults !== toldFaults) log.warn({ faults: built.faults }, "methods without a policy are not routed");
    toldFaults = faults;
    onInstances(instances);
    const used = new Set([...instances.map(keyOf), ...[...lastKeys.values()].flat()]);
    for (const key of contracts.keys()) if (!used.has(key)) contracts.delete(key);
    for (const instance of instances) {
      const key = keyOf(instance);
      if (contracts.has(key) || learning.has(key)) continue;
      learning.add(key);
      void learn(key, 0);
    }
  };
  const hear = (all: readonly Instance[]) => {
    instances = all.filter(({ service }) => service !== ownService);
    gateways = all.filter(({ service }) => service === ownService);
    update();
  };
  const unsubscribe = watch.subscribe(hear);
  hear(watch.current());

  return {
    find: (path) => table.get(path),
    table: () => table,
    contracts: () => [...contracts.values()],
    instances: () => instances,
    gateways: () => gateways,
    ageMs: () => watch.ageMs(),
    problem: () => (watch.ageMs() === Number.POSITIVE_INFINITY ? "the registry has not answered yet" : undefined),
    [Symbol.dispose]() {
      closed = true;
      unsubscribe();
      watch[Symbol.dispose]();
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

/**
 * Contracts are learnt once per service and hash, and listing of services: an instance says its hash itself, and none
 * may speak for another service.
 */
function keyOf({ service, contractHash, rpcServices }: Instance): string {
  return `${service} ${contractHash} ${rpcServices.join(" ")}`;
}
