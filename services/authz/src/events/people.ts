/** What happens to people happens to what they may do: who is deleted loses all, who is disabled loses roles. */
import type { UserDeleted, UserDisabled } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import { readModel } from "../models/kept-models.ts";
import { publishChange } from "../rpc/change-relationships.ts";
import { rolesOf } from "../rules/model.ts";
import { deleteAllOf, deleteGrantsOf, lockRevision } from "../store/relationships.ts";

export async function personDeleted({ userId }: UserDeleted, tx: Transaction): Promise<void> {
  await lockRevision(tx.queries);
  await publishChange(tx, { written: [], deleted: await deleteAllOf(tx.queries, { type: "user", id: userId }) });
}

export async function personDisabled({ userId }: UserDisabled, tx: Transaction): Promise<void> {
  await lockRevision(tx.queries);
  // Facts may come before this instance has loaded the model, which changes under the same lock.
  const roles = rolesOf(await readModel(tx.queries));
  const deleted = await deleteGrantsOf(tx.queries, { type: "user", id: userId }, roles);
  await publishChange(tx, { written: [], deleted });
}
