/** What happens to people happens to what they may do: who is deleted loses all, who is disabled loses roles. */
import type { UserDeleted, UserDisabled } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import type { LearntModels } from "../models/learnt-models.ts";
import { publishChange } from "../rpc/change-relationships.ts";
import { rolesOf } from "../rules/model.ts";
import { deleteAllOf, deleteGrantsOf, lockRevision } from "../store/relationships.ts";

export async function personDeleted({ userId }: UserDeleted, tx: Transaction): Promise<void> {
  await lockRevision(tx.queries);
  await publishChange(tx, { written: [], deleted: await deleteAllOf(tx.queries, { type: "user", id: userId }) });
}

export function personDisabled(models: Pick<LearntModels, "current" | "loaded">) {
  return async ({ userId }: UserDisabled, tx: Transaction): Promise<void> => {
    // Facts may come before the models do, and which relations are roles is in the models.
    await models.loaded;
    await lockRevision(tx.queries);
    const deleted = await deleteGrantsOf(tx.queries, { type: "user", id: userId }, rolesOf(models.current()));
    await publishChange(tx, { written: [], deleted });
  };
}
