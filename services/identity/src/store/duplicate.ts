/** What PostgreSQL says of a person who is there already, as an error for the caller. */
import { AppError } from "@switchboard/contract/app-error";
import { violatedConstraint } from "@switchboard/kernel/database/failure";

const taken: Readonly<Record<string, { readonly field: string; readonly message: string }>> = {
  users_pkey: { field: "user_id", message: "there is a person with this user_id already" },
  users_email: {
    field: "email",
    message: "there is a person with this e-mail already, in this or another letter case",
  },
};

/** @throws AppError ALREADY_EXISTS, with the field in its metadata, where the statement meets a unique index. */
export async function refuseDuplicates<T>(statement: PromiseLike<T>): Promise<T> {
  try {
    return await statement;
  } catch (cause) {
    const conflict = taken[violatedConstraint(cause) ?? ""];
    if (conflict === undefined) throw cause;
    throw new AppError("ALREADY_EXISTS", conflict.message, { cause, metadata: { field: conflict.field } });
  }
}
