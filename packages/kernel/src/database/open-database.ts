/** Opens a service's schema: a small pool, transactions that carry their events, and the truth about whether it works. */
import type { Logger } from "pino";
import postgres from "postgres";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { ConnectionPool } from "./connection-pool.ts";
import type { Database } from "./database.ts";
import { isRepeatable, toPublicFailure } from "./failure.ts";
import { Outbox } from "./outbox.ts";
import { makeQueries } from "./queries.ts";
import { runTransaction } from "./transaction.ts";

export interface OpenDatabaseOptions {
  /** As the runtime role. */
  readonly url: string;
  /** The service's schema, and the `source` of its events. */
  readonly schema: string;
  /** Connections for statements and transactions. Default 5. */
  readonly poolSize?: number;
  readonly log: Logger;
}

const STATEMENT_TIMEOUT_MS = 30_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;
const REPEATS = 3;
const PROBE_EVERY_MS = 1_000;

/** Connects when it is first used: PostgreSQL need not be there yet. */
export function openDatabase({ url, schema, poolSize = 5, log }: OpenDatabaseOptions): Database {
  const options: ConnectionOptions = {
    url,
    applicationName: schema,
    searchPath: `"${schema}", pg_temp`,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    idleInTransactionTimeoutMs: IDLE_IN_TRANSACTION_TIMEOUT_MS,
  };
  const pool = new ConnectionPool(options, poolSize);
  const outbox = new Outbox(pool);
  const sql = postgres(url, {
    max: 2,
    connect_timeout: 5,
    idle_timeout: 60,
    backoff: () => 0.2,
    fetch_types: false,
    connection: { application_name: schema, search_path: `"${schema}", pg_temp` },
    onnotice: () => {},
  });
  const probe = probing(pool, log);
  return {
    queries: makeQueries((work) => pool.use(work)),
    sql,
    connect: () => new Connection({ url, applicationName: schema, searchPath: `"${schema}", pg_temp` }),
    async transaction(origin, change) {
      for (let repeat = 0; ; repeat++) {
        try {
          const { result, published } = await pool.use((connection) =>
            runTransaction(connection, schema, origin, change),
          );
          if (published > 0) outbox.announce();
          return result;
        } catch (error) {
          if (repeat === REPEATS || !isRepeatable(error)) throw toPublicFailure(error);
        }
      }
    },
    problem: () => (pool.failure === undefined ? undefined : "the database cannot be reached"),
    async [Symbol.asyncDispose]() {
      clearInterval(probe);
      await Promise.all([pool[Symbol.asyncDispose](), sql.end({ timeout: 1 })]);
    },
  };
}

/** Asks the server where nothing else did for a while, and when an idle connection is lost: an idle process knows how things are. */
function probing(pool: ConnectionPool, log: Logger): NodeJS.Timeout {
  let away = false;
  let asking = false;
  const ask = async () => {
    if (asking) return;
    asking = true;
    try {
      await pool.use((connection) => connection.query("select 1"));
      if (away) log.info("the database is back");
      away = false;
    } catch (error) {
      if (!away) log.warn({ err: error }, "the database cannot be reached");
      away = true;
    } finally {
      asking = false;
    }
  };
  pool.onIdleLost = () => void ask();
  const askIfSilent = () => performance.now() - pool.answerTime < PROBE_EVERY_MS || ask();
  return setInterval(askIfSilent, PROBE_EVERY_MS).unref();
}
