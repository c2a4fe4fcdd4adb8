/**
 * A connection that is there again after it was lost, for drivers whose every statement stands alone. While PostgreSQL is
 * away statements fail at once instead of queueing, and one probe at a time asks whether it is back. Not for
 * transactions: between two statements the session may be another one.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Row } from "postgres";
import { Connection, type Parameter } from "./connection.ts";
import { ConnectionLost, isConnectionFailure } from "./failure.ts";

export interface SteadyConnectionOptions {
  readonly url: string;
  /** Who needs it, for logs, problems and pg_stat_activity: "registry". */
  readonly purpose: string;
  readonly log: Logger;
  /** How long a statement may go without an answer; then the connection is given up. */
  readonly timeoutMs: number;
  /** Heard from before the first statement of every connection. */
  readonly listen?: { readonly channel: string; readonly heard: () => void };
  /** After each return: what was heard of in between is lost. */
  readonly onReturn?: () => void;
}

const PROBE_MS = 200;

export class SteadyConnection implements AsyncDisposable {
  readonly #options: SteadyConnectionOptions;
  readonly #ended = new AbortController();
  #connection: Connection | undefined;
  /** Why PostgreSQL counts as away. */
  #failure: unknown;
  #probing: Promise<void> | undefined;

  /** Connects with the first statement. */
  constructor(options: SteadyConnectionOptions) {
    this.#options = options;
  }

  /** Undefined: PostgreSQL answers, as far as anybody knows. */
  problem(): string | undefined {
    return this.#failure === undefined ? undefined : `the ${this.#options.purpose} (PostgreSQL) cannot be reached`;
  }

  /**
   * The statement's rows.
   * @throws ConnectionLost or the driver's connection error where PostgreSQL is away: it may have run, or not.
   */
  async query<R extends object = Row>(text: string, parameters: readonly Parameter[] = []): Promise<readonly R[]> {
    if (this.#ended.signal.aborted) throw new ConnectionLost(`the ${this.#options.purpose} was closed`);
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return await this.#attempt<R>(text, parameters);
    } catch (error) {
      if (isConnectionFailure(error)) this.#leave(error);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#connection?.[Symbol.asyncDispose]();
    await this.#probing;
  }

  async #attempt<R extends object>(text: string, parameters: readonly Parameter[]): Promise<readonly R[]> {
    const connection = this.#open();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new ConnectionLost(`no answer within ${this.#options.timeoutMs} ms`));
        void connection[Symbol.asyncDispose]();
      }, this.#options.timeoutMs);
    });
    try {
      return await Promise.race([connection.query<R>(text, parameters), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #open(): Connection {
    if (this.#connection && !this.#connection.lost.aborted) return this.#connection;
    const { url, purpose, listen } = this.#options;
    const connection = new Connection({ url, applicationName: `switchboard ${purpose}` });
    this.#connection = connection;
    connection.lost.addEventListener("abort", () => this.#leave(connection.lost.reason), { once: true });
    // Its failure is the failure of the statement behind it.
    if (listen) connection.listen(listen.channel, listen.heard).catch(() => {});
    return connection;
  }

  #leave(failure: unknown): void {
    if (this.#ended.signal.aborted || this.#failure !== undefined) return;
    this.#failure = failure;
    this.#options.log.warn({ err: failure }, `the ${this.#options.purpose} lost PostgreSQL`);
    this.#probing = this.#probe();
  }

  async #probe(): Promise<void> {
    const { signal } = this.#ended;
    while (this.#failure !== undefined && !signal.aborted) {
      try {
        await this.#attempt("select 1", []);
        this.#failure = undefined;
      } catch {
        await delay(PROBE_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      }
    }
    if (signal.aborted) return;
    this.#options.log.info({}, `the ${this.#options.purpose} has PostgreSQL again`);
    this.#options.onReturn?.();
  }
}
