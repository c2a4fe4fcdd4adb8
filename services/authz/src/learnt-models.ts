/**
 * The model in force: Authz's own, and what the contracts of registered services declare. Of each service it is the
 * contract that its newest instance has, fetched once. What was learnt is kept in a table, for the time when a service is
 * away; the table is what all instances of Authz agree on. A contract that contradicts those learnt before it is refused,
 * and the service's previous one stays.
 */
import { setTimeout as delay } from "node:timers/promises";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelChangedSchema } from "@switchboard/gen/switchboard/authz/v1/authz_events_pb";
import { AuthorizationModelSchema } from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import type { Instance } from "@switchboard/kernel/registry/registry";
import type { PlatformDeps } from "@switchboard/kernel/service";
import { fetchModel, ownModel } from "./contract-model.ts";
import { formatFault, type MergedModels, mergeModels } from "./rules/merge-models.ts";
import type { Model } from "./rules/model.ts";
import { loadModels, type StoredModel, storeModel } from "./store/models.ts";
import { lockRevision, nextRevision } from "./store/relationships.ts";

export interface LearntModels {
  /** The model in force; until `loaded`, Authz's own alone. */
  current(): Model;
  /** Resolves when what is kept has been loaded. */
  readonly loaded: Promise<void>;
  /** What has still to be read, a line each: what the model does not have may be in there. */
  unread(): readonly string[];
  /** What is wrong with contracts that were refused, a line each. */
  refused(): readonly string[];
  /** Follows the registry until it is disposed. Has tried to load what is kept when it resolves. */
  start(): Promise<AsyncDisposable>;
}

const OWN = "authz";
const ORIGIN = { actor: `service:${OWN}`, trace: undefined };
const RETRY_MS = 500;

/** One contract of one service, and the instances that have it, the newest first. */
interface Contract {
  readonly service: string;
  readonly contractHash: string;
  readonly instances: readonly Instance[];
}

/** What the table says at a revision. */
interface Kept {
  readonly models: readonly StoredModel[];
  readonly revision: bigint;
}

export function createLearntModels(deps: Pick<PlatformDeps, "database" | "registry" | "log" | "now">): LearntModels {
  const { database, registry, log, now } = deps;
  const loading = Promise.withResolvers<void>();
  let isLoaded = false;
  let kept: Kept = { models: [], revision: 0n };
  let merged = merge([]);
  /** By service. */
  const refused = new Map<string, { readonly contractHash: string; readonly faults: readonly string[] }>();
  const failing = new Set<string>();
  let registered = (): readonly Instance[] => [];

  const adopt = (read: Kept) => {
    // Contracts are learnt side by side, and the one that came first may be told last.
    if (read.revision < kept.revision) return;
    kept = read;
    merged = merge(read.models);
  };
  const isRefused = ({ service, contractHash }: Contract) => refused.get(service)?.contractHash === contractHash;
  const unread = () =>
    newestContracts(registered()).filter((contract) => !isRefused(contract) && !has(kept.models, contract));

  const load = async () => {
    try {
      adopt({ models: await loadModels(database.queries), revision: 0n });
      const faults = merged.refused.map(formatFault);
      if (faults.length > 0) log.error({ faults }, "models that were learnt earlier contradict this version's own");
      isLoaded = true;
      loading.resolve();
    } catch (error) {
      log.warn({ err: error }, "the authorization models could not be loaded; tried again");
    }
  };

  const learn = async (contract: Contract) => {
    const { service, contractHash } = contract;
    const model = await fetchModel(contract.instances, { log, now });
    const candidate = { service, contractHash, bytes: toBinary(AuthorizationModelSchema, model) };
    const { faults, ...read } = await database.transaction(ORIGIN, (tx) => keep(tx, candidate));
    adopt(read);
    if (faults.length > 0) {
      refused.set(service, { contractHash, faults });
      log.error({ learntService: service, contractHash, faults }, "a contract's model was refused");
      return;
    }
    // What others were refused for may be gone.
    refused.clear();
    const unresolved = merged.unresolved.filter((fault) => fault.service === service).map(formatFault);
    log.info({ learntService: service, contractHash, unresolved }, "learnt a model");
  };

  const tryToLearn = async (contract: Contract) => {
    const name = `${contract.service} ${contract.contractHash}`;
    try {
      await learn(contract);
      failing.delete(name);
    } catch (error) {
      log[failing.has(name) ? "debug" : "warn"](
        { err: error, learntService: contract.service },
        "a contract could not be read; tried again",
      );
      failing.add(name);
    }
  };

  return {
    current: () => merged.model,
    loaded: loading.promise,
    unread: () => [
      ...(isLoaded ? [] : ["the authorization models have not been loaded yet"]),
      ...unread().map(({ service }) => `the contract of ${service} has not been read yet`),
    ],
    refused: () =>
      newestContracts(registered())
        .filter(isRefused)
        .flatMap(({ service }) => refused.get(service)?.faults ?? []),
    async start() {
      const watch = registry.watchAll();
      registered = () => watch.current();
      const stop = new AbortController();
      let changed = Promise.withResolvers<void>();
      const wake = () => changed.resolve();
      const unsubscribe = watch.subscribe(wake);
      watch.ready.then(wake, wake);
      stop.signal.addEventListener("abort", wake);
      await load();
      const follow = async () => {
        while (!stop.signal.aborted) {
          changed = Promise.withResolvers();
          if (!isLoaded) await load();
          else await Promise.all(unread().map(tryToLearn));
          const waits = [changed.promise];
          if (!isLoaded || unread().length > 0) waits.push(delay(RETRY_MS, undefined, { ref: false }));
          if (!stop.signal.aborted) await Promise.race(waits);
        }
      };
      const following = follow();
      return {
        async [Symbol.asyncDispose]() {
          stop.abort();
          unsubscribe();
          watch[Symbol.dispose]();
          await following;
        },
      };
    },
  };
}

/** Stores a service's model, where the others leave room for it. One change at a time, of all instances of Authz. */
async function keep(tx: Transaction, candidate: StoredModel): Promise<Kept & { readonly faults: readonly string[] }> {
  const revision = await lockRevision(tx.queries);
  const before = await loadModels(tx.queries);
  if (has(before, candidate)) return { models: before, revision, faults: [] };
  const models = [...before.filter(({ service }) => service !== candidate.service), candidate];
  const faults = merge(models).refused.filter(({ service }) => service === candidate.service);
  if (faults.length > 0) return { models: before, revision, faults: faults.map(formatFault) };
  await storeModel(tx.queries, candidate);
  const next = await nextRevision(tx.queries);
  await tx.publish(ModelChangedSchema, { revision: next, service: candidate.service }, "model");
  return { models, revision: next, faults: [] };
}

function merge(models: readonly StoredModel[]): MergedModels {
  return mergeModels([
    { service: OWN, model: ownModel },
    ...models.map(({ service, bytes }) => ({ service, model: fromBinary(AuthorizationModelSchema, bytes) })),
  ]);
}

function has(models: readonly StoredModel[], { service, contractHash }: Omit<Contract, "instances">): boolean {
  return models.some((model) => model.service === service && model.contractHash === contractHash);
}

/** Of each service the contract of the instance that registered last. */
function newestContracts(instances: readonly Instance[]): readonly Contract[] {
  const contracts = new Map<string, Contract & { readonly instances: Instance[] }>();
  const newestFirst = instances.toSorted(
    (a, b) => b.registerTime - a.registerTime || (a.instanceId < b.instanceId ? 1 : -1),
  );
  for (const instance of newestFirst) {
    const { service, contractHash } = instance;
    const contract = contracts.get(service) ?? { service, contractHash, instances: [] };
    if (service !== OWN) contracts.set(service, contract);
    if (contractHash === contract.contractHash) contract.instances.push(instance);
  }
  return [...contracts.values()];
}
