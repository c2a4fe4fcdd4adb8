/**
 * One connection to PostgreSQL that is used until it is lost, and then never again. postgres.js by itself reconnects
 * below a transaction that is under way: later statements of it would run, and commit, outside of any; and what it writes
 * to a socket that is gone ends the process (its issues 1133, 1154, 1208). So it only gets one connection at a time here.
 */
import postgres, { type Row, type RowList, type Sql } from "postgres";
import { readArray, writeArray } from "./array-literal.ts";
import { ConnectionLost, isConnectionFailure } from "./failure.ts";

export interface ConnectionOptions {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** Default: the role's own. */
  readonly searchPath?: string;
  /** How long a statement may take. Default: without bound. */
  readonly statementTimeoutMs?: number;
  /** How long a transaction may wait for its next statement. Default: without bound. */
  readonly idleInTransactionTimeoutMs?: number;
}

export type Parameter = string | number | bigint | boolean | null | Uint8Array | readonly (string | number | null)[];

const CONNECT_TIMEOUT_S = 5;
/** Longer texts come in too many variants (lists of values) to be kept as prepared statements. */
const MAX_PREPARED_LENGTH = 2_000;

export class Connection implements AsyncDisposable {
  readonly #sql: Sql;
  readonly #loss = new AbortController();
  /** Ends the statements under way: those that postgres.js has not sent yet it would forget. */
  readonly #waiting = new Set<(reason: unknown) => void>();
  readonly #listeners = new Map<string, (payload: string) => void>();
  /** By performance.now(). */
  readonly openTime = performance.now();
  /** Whether the server has answered a statement. */
  established = false;

  /** Connects with the first statement. */
  constructor(options: ConnectionOptions) {
    const driverOptions = {
      max: 1,
      connect_timeout: CONNECT_TIMEOUT_S,
      // Either would end the connection between two statements of a transaction.
      idle_timeout: 0,
      max_lifetime: null,
      // It would ask for array types when it connects, and a connection that breaks then ends the process.
      fetch_types: false,
      connection: sessionSettings(options),
      types: asDrizzleWantsThem,
      onnotice: () => {},
      onclose: () => this.#loss.abort(new ConnectionLost("the connection to PostgreSQL was closed")),
      // Not in the types of postgres.js, which uses it for its own listen().
      onnotify: (channel: string, payload: string) => this.#listeners.get(channel)?.(payload),
    };
    this.#sql = postgres(options.url, driverOptions) as unknown as Sql;
    // Else postgres.js would connect anew for the statements that still wait, and nobody would end that one.
    this.lost.addEventListener("abort", () => {
      for (const reject of this.#waiting) reject(this.lost.reason);
      void this.#end();
    });
  }

  /** Aborted when the connection is no more. */
  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  /** Runs a statement; `$1`… stand for the parameters. Statements that are sent together run in their order. */
  query<R extends object = Row>(text: string, parameters: readonly Parameter[] = []): Promise<RowList<R[]>> {
    return this.#run(() => this.#statement(text, parameters)) as Promise<RowList<R[]>>;
  }

  /** The same with each row as an array of its columns. */
  queryArrays(text: string, parameters: readonly Parameter[] = []): Promise<readonly (readonly unknown[])[]> {
    return this.#run(() => this.#statement(text, parameters).values());
  }

  /** Hears a channel for as long as the connection lives. */
  async listen(channel: string, listener: (payload: string) => void): Promise<void> {
    this.#listeners.set(channel, listener);
    await this.query(`listen "${channel}"`);
  }

  /** Ends it; what is under way is cut off. Never fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#loss.abort(new ConnectionLost("the connection to PostgreSQL was ended"));
    await this.#end();
  }

  async #end(): Promise<void> {
    await this.#sql.end({ timeout: 0 }).catch(() => {});
  }

  #statement(text: string, parameters: readonly Parameter[]) {
    const values = parameters.map((value) => (isArray(value) ? writeArray(value) : value));
    return this.#sql.unsafe(text, values as never[], { prepare: text.length <= MAX_PREPARED_LENGTH });
  }

  async #run<T>(statement: () => PromiseLike<T>): Promise<T> {
    if (this.lost.aborted) throw this.lost.reason;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.add(reject);
    try {
      statement().then(resolve, reject);
      const result = await promise;
      this.established = true;
      return result;
    } catch (error) {
      // Before the socket closes there is a moment in which a further statement would never be answered.
      if (isConnectionFailure(error)) this.#loss.abort(error);
      throw error;
    } finally {
      this.#waiting.delete(reject);
    }
  }
}

function isArray(value: Parameter): value is readonly (string | number | null)[] {
  return Array.isArray(value);
}

function sessionSettings(options: ConnectionOptions): Record<string, string> {
  const { applicationName, searchPath, statementTimeoutMs, idleInTransactionTimeoutMs } = options;
  return {
    application_name: applicationName,
    ...(searchPath !== undefined && { search_path: searchPath }),
    ...(statementTimeoutMs !== undefined && { statement_timeout: String(statementTimeoutMs) }),
    ...(idleInTransactionTimeoutMs !== undefined && {
      idle_in_transaction_session_timeout: String(idleInTransactionTimeoutMs),
    }),
  };
}

const same = (value: unknown) => value;

/**
 * drizzle converts times and JSON by itself; it says so to a client that it is given, which here it is not. Arrays of text,
 * uuid and bigint are texts, those of smaller numbers numbers.
 */
const asDrizzleWantsThem = {
  time: { to: 1184, from: [1082, 1083, 1114, 1182, 1184, 1185, 1115, 1231], serialize: same, parse: same },
  json: { to: 114, from: [114, 3802], serialize: same, parse: (text: string): unknown => JSON.parse(text) },
  texts: arrayType([1009, 1015, 1016, 2951], (text) => text),
  numbers: arrayType([1007, 1005, 1021, 1022], Number),
  booleans: arrayType([1000], (text) => text === "t"),
};

function arrayType<T>(oids: [number, ...number[]], element: (text: string) => T) {
  return { to: oids[0], from: oids, serialize: same, parse: (literal: string) => readArray(literal, element) };
}
