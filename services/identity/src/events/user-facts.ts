/** What Identity tells the others about a change, in the transaction that makes it. */
import {
  UserCreatedSchema,
  UserDeletedSchema,
  UserDisabledSchema,
  UserEnabledSchema,
  UserUndeletedSchema,
  UserUpdatedSchema,
} from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import { changedFields, type Person } from "../rules/person.ts";

/** Publishes what a change did to a person. */
export type PublishFact = (tx: Transaction, after: Person, before: Person) => Promise<void>;

export async function publishCreated(tx: Transaction, person: Person): Promise<void> {
  const { userId, email, displayName } = person;
  await tx.publish(UserCreatedSchema, { userId, email, displayName }, userId);
}

export const publishUpdated: PublishFact = async (tx, after, before) => {
  const { userId, email, displayName } = after;
  const fact = { userId, email, displayName, changedFields: [...changedFields(before, after)] };
  await tx.publish(UserUpdatedSchema, fact, userId);
};

export const publishDeleted = bare(UserDeletedSchema);
export const publishUndeleted = bare(UserUndeletedSchema);
export const publishDisabled = bare(UserDisabledSchema);
export const publishEnabled = bare(UserEnabledSchema);

type BareSchema =
  | typeof UserDeletedSchema
  | typeof UserUndeletedSchema
  | typeof UserDisabledSchema
  | typeof UserEnabledSchema;

/** A fact that says no more than whom it is about. */
function bare(schema: BareSchema): PublishFact {
  return (tx, { userId }) => tx.publish(schema, { userId }, userId);
}
