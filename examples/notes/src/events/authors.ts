/** What happens to people happens to their notes. Each fact is handled once, in the transaction of its inbox row. */
import type { UserDeleted, UserUpdated } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import { deleteNotesOf, renameAuthor } from "../store/notes.ts";

export async function authorRenamed({ userId, displayName }: UserUpdated, tx: Transaction): Promise<void> {
  await renameAuthor(tx.queries, userId, displayName);
}

export async function authorDeleted({ userId }: UserDeleted, tx: Transaction): Promise<void> {
  await deleteNotesOf(tx.queries, userId);
}
