/**
 * The models that are kept: one table, on which all instances of Authz agree. A service's new model takes the place of its
 * earlier one only where it leaves the others as they are.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ModelChangedSchema } from "@switchboard/gen/switchboard/authz/v1/authz_events_pb";
import { AuthorizationModelSchema } from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import type { Queries, Transaction } from "@switchboard/kernel/database/database";
import { formatFault, type MergedModels, mergeModels } from "../rules/merge-models.ts";
import type { Model } from "../rules/model.ts";
import { loadModels, type StoredModel, storeModel } from "../store/models.ts";
import { lockRevision, nextRevision } from "../store/relationships.ts";
import { ownModel } from "./contract-model.ts";
import { nameOf } from "./newest-contracts.ts";

export const OWN = "authz";

/** What the table says at a revision, in the order in which it was learnt. */
export interface KeptModels {
  readonly models: readonly StoredModel[];
  readonly revision: bigint;
}

/** Authz's own model first, then those. */
export function mergeKept(models: readonly StoredModel[]): MergedModels {
  return mergeModels([
    { service: OWN, model: ownModel },
    ...models.map(({ service, bytes }) => ({ service, model: fromBinary(AuthorizationModelSchema, bytes) })),
  ]);
}

/** What the table says now: complete also where this instance has not loaded it, or another has learnt since. */
export async function readModel(queries: Queries): Promise<Model> {
  return mergeKept(await loadModels(queries)).model;
}

export function isKept(models: readonly StoredModel[], wanted: Pick<StoredModel, "service" | "contractHash">): boolean {
  return models.some((model) => nameOf(model) === nameOf(wanted));
}

/** Stores a model, or says what is wrong with it. One change at a time, of all instances of Authz. */
export async function keepModel(
  tx: Transaction,
  candidate: StoredModel,
): Promise<KeptModels & { readonly faults: readonly string[] }> {
  const revision = await lockRevision(tx.queries);
  const before = await loadModels(tx.queries);
  if (isKept(before, candidate)) return { models: before, revision, faults: [] };
  // Last in order: where two contradict each other, the later one is left out.
  const models = [...before.filter(({ service }) => service !== candidate.service), candidate];
  const faults = mergeKept(models).refused.filter(({ service }) => service === candidate.service);
  if (faults.length > 0) return { models: before, revision, faults: faults.map(formatFault) };
  await storeModel(tx.queries, candidate);
  const next = await nextRevision(tx.queries);
  await tx.publish(ModelChangedSchema, { revision: next, service: candidate.service }, "model");
  return { models, revision: next, faults: [] };
}
