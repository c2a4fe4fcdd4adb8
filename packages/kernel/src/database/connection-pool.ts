/** A few connections that take turns. One that was lost is replaced when it is next needed; nothing waits for it. */
import { AppError } from "@switchboard/contract/app-error";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { ConnectionLost } from "./failure.ts";

/** Then a connection is replaced, so that what a server keeps for it does not grow for ever. */
const MAX_AGE_MS = 30 * 60_000;
const MAX_WAIT_MS = 10_000;

interface Waiter {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: unknown) => void;
}

export class ConnectionPool implements AsyncDisposable {
  readonly #options: ConnectionOptions;
  readonly #size: number;
  readonly #idle: Connection[] = [];
  readonly #used = new Set<Connection>();
  readonly #waiters: Waiter[] = [];
  #ended = false;
  /** Why the last use lost its connection, or did not get one; undefined: it did. */
  failure: unknown;
  /** By performance.now(); when the server last answered. */
  answerTime = 0;
  /** Called when a connection is lost that nobody was using. */
  onIdleLost: () => void = () => {};

  constructor(options: ConnectionOptions, size: number) {
    this.#options = options;
    this.#size = size;
  }

  /**
   * Runs `work` with a connection that nobody else uses meanwhile.
   * @throws AppError OVERLOADED where none is free for 10 s.
   */
  async use<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#take();
    try {
      const result = await work(connection);
      this.failure = undefined;
      this.answerTime = performance.now();
      return result;
    } catch (error) {
      this.failure = connection.lost.aborted ? connection.lost.reason : undefined;
      throw error;
    } finally {
      this.#give(connection);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new ConnectionLost("the database was closed"));
    await Promise.all([...this.#idle, ...this.#used].map((connection) => connection[Symbol.asyncDispose]()));
  }

  async #take(): Promise<Connection> {
    if (this.#ended) throw new ConnectionLost("the database was closed");
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      if (!idle.lost.aborted) return this.#lend(idle);
    }
    if (this.#used.size < this.#size) return this.#lend(this.#open());
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const waiter = { resolve, reject };
    this.#waiters.push(waiter);
    const timer = setTimeout(() => {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      reject(new AppError("OVERLOADED", "the service's database connections are all busy; repeat the call later"));
    }, MAX_WAIT_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #give(connection: Connection): void {
    this.#used.delete(connection);
    const usable = !connection.lost.aborted && performance.now() - connection.openTime < MAX_AGE_MS && !this.#ended;
    if (!usable) void connection[Symbol.asyncDispose]();
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve(this.#lend(usable ? connection : this.#open()));
    else if (usable) this.#idle.push(connection);
  }

  #open(): Connection {
    const connection = new Connection(this.#options);
    connection.lost.addEventListener("abort", () => {
      const index = this.#idle.indexOf(connection);
      if (index < 0 || this.#ended) return;
      this.#idle.splice(index, 1);
      this.onIdleLost();
    });
    return connection;
  }

  #lend(connection: Connection): Connection {
    this.#used.add(connection);
    return connection;
  }
}
