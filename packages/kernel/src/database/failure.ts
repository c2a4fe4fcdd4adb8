/** What an error of the driver means: PostgreSQL is away, the transaction is to be repeated, a constraint does not hold. */
import { AppError } from "@switchboard/contract/app-error";
import postgres from "postgres";

/** A connection that was lost, or a transaction that is over, was asked to do more. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** Of postgres.js, of Node's sockets, and of PostgreSQL: shutdown, crash, starting up, no slot left. */
const CONNECTION_CODES = new Set(
  `CONNECTION_CLOSED CONNECTION_DESTROYED CONNECTION_ENDED CONNECT_TIMEOUT
   ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH ENOTFOUND EAI_AGAIN ERR_STREAM_DESTROYED
   57P01 57P02 57P03 57P05 25P03 53300`.split(/\s+/),
);

/** Whether the connection did not come about, or is no more. */
export function isConnectionFailure(error: unknown): boolean {
  if (error instanceof ConnectionLost) return true;
  if (error instanceof postgres.PostgresError && error.severity === "FATAL") return true;
  if (error instanceof AggregateError) return error.errors.some(isConnectionFailure);
  const code = codeOf(error);
  return code !== undefined && (CONNECTION_CODES.has(code) || code.startsWith("08"));
}

/** Whether the same transaction may succeed when it is run again: serialization failure, deadlock. */
export function isRepeatable(error: unknown): boolean {
  const code = codeOf(error);
  return code === "40001" || code === "40P01";
}

/** The name of the constraint that an insert or update violated: unique, foreign key, check, exclusion, not null. */
export function violatedConstraint(error: unknown): string | undefined {
  if (error instanceof postgres.PostgresError) return error.code.startsWith("23") ? error.constraint_name : undefined;
  return error instanceof Error && error.cause !== undefined ? violatedConstraint(error.cause) : undefined;
}

/** The error that callers get for a failed statement: DATABASE_UNAVAILABLE where PostgreSQL is away, else itself. */
export function toPublicFailure(error: unknown): unknown {
  if (!isConnectionFailure(error)) return error;
  return new AppError("DATABASE_UNAVAILABLE", "the database cannot be reached at the moment; repeat the call", {
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
