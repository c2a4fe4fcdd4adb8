/** What Auth does when Identity tells of a person. Facts of one person come in their order. */
import {
  UserDeletedSchema,
  UserDisabledSchema,
  UserEnabledSchema,
  UserUndeletedSchema,
  UserUpdatedSchema,
} from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import { type Consumer, on } from "@switchboard/kernel/service";
import type { Auth } from "../auth.ts";
import { updateAccount, updateEmail } from "../store/accounts.ts";
import { deleteApiKeys } from "../store/api-keys.ts";
import { deleteSessions } from "../store/sessions.ts";

const TOPIC = "identity";

export function peopleConsumers({ deps, sessions }: Auth): readonly Consumer[] {
  const endCredentials = async (tx: Transaction, userId: string): Promise<void> => {
    const ended = await deleteSessions(tx.queries, { userId });
    const keys = await deleteApiKeys(tx.queries, userId);
    await sessions.revoke(tx, userId, [...ended, ...keys]);
  };
  return [
    // The account first: a sign-in under way holds it, and ends before its session is looked for.
    on(TOPIC, UserDisabledSchema, async ({ userId }, tx) => {
      await updateAccount(tx.queries, userId, { disabled: true });
      await endCredentials(tx, userId);
    }),
    on(TOPIC, UserDeletedSchema, async ({ userId }, tx) => {
      await updateAccount(tx.queries, userId, { deleteTime: new Date(deps.now()) });
      await endCredentials(tx, userId);
    }),
    on(TOPIC, UserEnabledSchema, ({ userId }, tx) => updateAccount(tx.queries, userId, { disabled: false })),
    on(TOPIC, UserUndeletedSchema, ({ userId }, tx) => updateAccount(tx.queries, userId, { deleteTime: null })),
    on(TOPIC, UserUpdatedSchema, async ({ userId, email, changedFields }, tx) => {
      if (changedFields.includes("email")) await updateEmail(tx.queries, userId, email);
    }),
  ];
}
