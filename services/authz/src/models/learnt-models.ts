/**
 * The model in force: Authz's own, and what the contracts of registered services declare, each fetched from a running
 * instance once and kept for the time when the service is away. One that contradicts those learnt before it is refused,
 * and the service's previous one stays.
 */
import { EventEmitter, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { toBinary } from "@bufbuild/protobuf";
import { AuthorizationModelSchema } from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import type { Instance } from "@switchboard/kernel/registry/registry";
import type { PlatformDeps } from "@switchboard/kernel/service";
import { formatFault } from "../rules/merge-models.ts";
import type { Model } from "../rules/model.ts";
import { loadModels } from "../store/models.ts";
import { fetchModel } from "./contract-model.ts";
import { isKept, type KeptModels, keepModel, mergeKept, OWN } from "./kept-models.ts";
import { type Contract, nameOf, newestContracts } from "./newest-contracts.ts";

export interface LearntModels {
  /** The model in force; until what is kept has been loaded, Authz's own alone. */
  current(): Model;
  /** What has still to be read, a line each: what the model does not have may be in there. */
  unread(): readonly string[];
  /** What is wrong with contracts that were refused, a line each. */
  refused(): readonly string[];
  /** Resolves when no contract is being read for the first time, or a second is over. */
  settled(): Promise<void>;
  /** Follows the registry until it is disposed. Has tried to load what is kept when it resolves. */
  start(): Promise<AsyncDisposable>;
}

const ORIGIN = { actor: `service:${OWN}`, trace: undefined };
const RETRY_MS = 500;
/** A contract that can be read at all is read well within this. */
const PATIENCE_MS = 1_000;

export function createLearntModels(
  deps: Pick<PlatformDeps, "contractOf" | "database" | "registry" | "log">,
): LearntModels {
  const { contractOf, database, registry, log } = deps;
  let isLoaded = false;
  let kept: KeptModels = { models: [], revision: 0n };
  let merged = mergeKept([]);
  /** What is wrong, by the contract's name. */
  const refused = new Map<string, readonly string[]>();
  /** By name: those that were tried and could not be read. */
  const failed = new Set<string>();
  const news = new EventEmitter().setMaxListeners(0);
  const tell = () => void news.emit("news");
  let registered = (): readonly Instance[] => [];
  /** Whether `registered` is what the registry says. */
  let isToldOf = false;

  const adopt = (read: KeptModels) => {
    // Contracts are learnt side by side, and the one that came first may be told last.
    if (read.revision < kept.revision) return;
    kept = read;
    merged = mergeKept(read.models);
  };
  const others = () => newestContracts(registered().filter(({ service }) => service !== OWN));
  const unread = () => others().filter((contract) => !refused.has(nameOf(contract)) && !isKept(kept.models, contract));
  const unreadNamed = (name: string) => unread().find((contract) => nameOf(contract) === name);

  const load = async () => {
    try {
      adopt({ models: await loadModels(database.queries), revision: 0n });
      const faults = merged.refused.map(formatFault);
      if (faults.length > 0) log.error({ faults }, "models that were learnt earlier contradict this version's own");
      isLoaded = true;
      tell();
    } catch (error) {
      log.warn({ err: error }, "the authorization models could not be loaded; tried again");
    }
  };

  const learn = async (contract: Contract) => {
    const { service, contractHash } = contract;
    const model = await fetchModel(contract.instances, contractOf);
    if (unreadNamed(nameOf(contract)) === undefined) return;
    const candidate = { service, contractHash, bytes: toBinary(AuthorizationModelSchema, model) };
    const { faults, ...read } = await database.transaction(ORIGIN, (tx) => keepModel(tx, candidate));
    adopt(read);
    if (faults.length > 0) {
      refused.set(nameOf(contract), faults);
      log.error({ learntService: service, contractHash, faults }, "a contract's model was refused");
      return;
    }
    // What others were refused for may be gone.
    refused.clear();
    const unresolved = merged.unresolved.filter((fault) => fault.service === service).map(formatFault);
    log.info({ learntService: service, contractHash, unresolved }, "learnt a model");
  };

  const start = async (): Promise<AsyncDisposable> => {
    const watch = registry.watchAll();
    registered = () => watch.current();
    const stop = new AbortController();
    const pause = () => delay(RETRY_MS, undefined, { signal: stop.signal, ref: false }).catch(() => {});
    /** By the contract's name; side by side, so that one that does not answer holds up no other. */
    const reading = new Map<string, Promise<void>>();

    const readUntilDone = async (name: string) => {
      for (let wanted = unreadNamed(name); wanted && !stop.signal.aborted; wanted = unreadNamed(name)) {
        try {
          await learn(wanted);
        } catch (error) {
          const level = failed.has(name) || stop.signal.aborted ? "debug" : "warn";
          log[level]({ err: error, learntService: wanted.service }, "a contract could not be read; tried again");
          failed.add(name);
          tell();
          await pause();
        }
      }
      failed.delete(name);
      tell();
    };
    const follow = () => {
      if (!isLoaded || stop.signal.aborted) return;
      for (const name of unread().map(nameOf)) {
        if (reading.has(name)) continue;
        const done = readUntilDone(name).then(() => {
          reading.delete(name);
          follow();
        });
        reading.set(name, done);
      }
    };
    const loadUntilDone = async () => {
      while (!isLoaded && !stop.signal.aborted) {
        await pause();
        await load();
      }
      follow();
    };

    const unsubscribe = watch.subscribe(follow);
    void watch.ready.then(() => {
      isToldOf = true;
      tell();
      follow();
    });
    await load();
    const loads = loadUntilDone();
    return {
      async [Symbol.asyncDispose]() {
        stop.abort();
        unsubscribe();
        watch[Symbol.dispose]();
        await Promise.all([loads, ...reading.values()]);
      },
    };
  };

  return {
    current: () => merged.model,
    unread: () => [
      ...(isLoaded ? [] : ["the authorization models have not been loaded yet"]),
      ...(isToldOf ? [] : ["the registry has not answered yet"]),
      ...unread().map(({ service }) => `the contract of ${service} has not been read yet`),
    ],
    async settled() {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const isSettled = () => isLoaded && isToldOf && unread().every((contract) => failed.has(nameOf(contract)));
      while (!isSettled() && !signal.aborted) await once(news, "news", { signal }).catch(() => {});
    },
    refused: () => others().flatMap((contract) => refused.get(nameOf(contract)) ?? []),
    start,
  };
}
