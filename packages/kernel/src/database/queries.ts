/** drizzle's query builder over our connections: it makes the texts and maps the rows, and nothing else. */
import { drizzle } from "drizzle-orm/pg-proxy";
import type { Connection } from "./connection.ts";
import type { Queries } from "./database.ts";
import { toPublicFailure } from "./failure.ts";

/** Runs one statement on some connection. */
export type RunOn = <T>(work: (connection: Connection) => Promise<T>) => Promise<T>;

/** Statements of the builder fail with PostgreSQL's own error, or with AppError DATABASE_UNAVAILABLE. */
export function makeQueries(runOn: RunOn): Queries {
  const builder = drizzle(async (text, parameters, method) => {
    try {
      const rows = await runOn<readonly unknown[]>((connection) =>
        method === "all" ? connection.queryArrays(text, parameters) : connection.query(text, parameters),
      );
      return { rows: rows as unknown[] };
    } catch (error) {
      return failingRows(toPublicFailure(error));
    }
  });
  // Both drivers make the same builders; the rows beneath come from postgres.js.
  return builder as unknown as Queries;
}

/**
 * drizzle wraps whatever a statement is rejected with into an error whose message holds the statement's parameters,
 * which is nothing for a log. What is thrown when it reads the rows passes as it is.
 */
function failingRows(error: unknown): { rows: unknown[] } {
  return {
    get rows(): unknown[] {
      throw error;
    },
  };
}
