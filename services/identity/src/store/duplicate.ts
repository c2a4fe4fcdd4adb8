/** What PostgreSQL says of a person who is there already, as an error for the caller. */
import { AppError } from "@switchboard/contract/app-error";

const UNIQUE_VIOLATION = "23505";

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
  } catch (failure) {
    const fault = violationOf(failure);
    const conflict = fault.code === UNIQUE_VIOLATION ? taken[String(fault.constraint_name)] : undefined;
    if (conflict === undefined) throw failure;
    throw new AppError("ALREADY_EXISTS", conflict.message, { cause: failure, metadata: { field: conflict.field } });
  }
}

/** drizzle wraps the driver's error. */
function violationOf(failure: unknown): { readonly code?: unknown; readonly constraint_name?: unknown } {
  return Object(failure instanceof Error ? failure.cause : undefined);
}
