/**
 * The model in force: Authz's own, and what the contracts of registered services declare. Each is fetched from a running
 * instance through its reflection, once for each contract, and kept. One that contradicts the others is refused, and the
 * service's previous one stays.
 */
import { create, fromBinary, getOption, hasOption, toBinary } from "@bufbuild/protobuf";
import { file_switchboard_authz_v1_authz_service } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import {
  type AuthorizationModel,
  AuthorizationModelSchema,
  model as modelOption,
} from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import type { Instance } from "@switchboard/kernel/registry/registry";
import { fetchContract } from "@switchboard/kernel/rpc/remote-contract";
import type { PlatformDeps } from "@switchboard/kernel/service";
import { type Contribution, formatFault, mergeModels } from "./rules/merge-models.ts";
import type { Model } from "./rules/model.ts";
import { loadModels, storeModel } from "./store/models.ts";

export interface LearntModels {
  current(): Model;
  /** Services whose contract has not been read yet, for readiness. */
  problems(): readonly string[];
}

const OWN = "authz";
const RETRY_MS = 500;

export function openLearntModels(deps: Pick<PlatformDeps, "database" | "registry" | "log" | "now">): LearntModels {
  const { database, registry, log, now } = deps;
  const own: Contribution = { service: OWN, model: getOption(file_switchboard_authz_v1_authz_service, modelOption) };
  const learnt = new Map<string, { readonly contractHash: string; readonly model: AuthorizationModel }>();
  const tried = new Set<string>();
  let loaded = false;
  let merged = mergeModels([own]);
  const watch = registry.watchAll();

  const contributions = (changed?: Contribution): readonly Contribution[] => {
    const models = new Map([...learnt].map(([service, { model }]) => [service, model]));
    if (changed) models.set(changed.service, changed.model);
    return [own, ...Array.from(models, ([service, model]) => ({ service, model }))];
  };

  const load = async () => {
    for (const { service, contractHash, bytes } of await loadModels(database.queries)) {
      learnt.set(service, { contractHash, model: fromBinary(AuthorizationModelSchema, bytes) });
    }
    merged = mergeModels(contributions());
    loaded = true;
  };

  const learn = async (instance: Instance) => {
    const { service, contractHash } = instance;
    const services = await fetchContract(instance, { log, now });
    const own = services.filter(({ typeName }) => instance.rpcServices.includes(typeName));
    const model = create(AuthorizationModelSchema, {
      types: [...new Set(own.map(({ file }) => file))].flatMap((file) =>
        hasOption(file, modelOption) ? getOption(file, modelOption).types : [],
      ),
    });
    const candidate = mergeModels(contributions({ service, model }));
    const faults = candidate.refused.filter((fault) => fault.service === service);
    if (faults.length > 0) {
      log.error({ learntService: service, faults: faults.map(formatFault) }, "a contract's model was refused");
      return;
    }
    await storeModel(database.queries, { service, contractHash, bytes: toBinary(AuthorizationModelSchema, model) });
    learnt.set(service, { contractHash, model });
    merged = candidate;
    log.info({ learntService: service, contractHash }, "learnt a model");
  };

  const unread = () =>
    [...new Map(watch.current().map((instance) => [`${instance.service} ${instance.contractHash}`, instance]))].filter(
      ([key, { service, contractHash }]) =>
        service !== OWN && !tried.has(key) && learnt.get(service)?.contractHash !== contractHash,
    );

  let running = false;
  const update = async (): Promise<void> => {
    if (running) return;
    running = true;
    try {
      if (!loaded) await load();
      for (const [key, instance] of unread()) {
        await learn(instance);
        tried.add(key);
      }
    } catch (error) {
      log.warn({ err: error }, "a contract could not be read; tried again");
      setTimeout(() => void update(), RETRY_MS).unref();
    } finally {
      running = false;
    }
    if (loaded && unread().length > 0) setTimeout(() => void update(), RETRY_MS).unref();
  };
  watch.subscribe(() => void update());
  void watch.ready.then(update);

  return {
    current: () => merged.model,
    problems: () => [
      ...(loaded ? [] : ["the authorization models have not been loaded"]),
      ...unread().map(([, { service }]) => `the contract of ${service} has not been read`),
    ],
  };
}
