/** The state in PostgreSQL: unlogged tables behind functions. One connection for values, one for limits and locks. */
import { AppError } from "@switchboard/contract/app-error";
import type { Logger } from "pino";
import { isConnectionFailure } from "../database/failure.ts";
import { SteadyConnection } from "../database/steady-connection.ts";
import { RateLimiter, type TokenEngine, type TokensTaken } from "./rate-limiter.ts";
import { RenewedLock } from "./renewed-lock.ts";
import type { HeldLock, RateLimit, RateLimitDecision, State } from "./state.ts";
import { checkTtl, checkValue, keyBytes } from "./state-key.ts";

export interface PostgresStateOptions {
  /** As the role of the service: keys belong to it. */
  readonly url: string;
  readonly log: Logger;
  /**
   * Milliseconds of a clock that only goes on, for the lengths of leases and locks here; from when does not matter, since
   * all times are the engine's. Default: performance.now().
   */
  readonly now?: () => number;
}

/** How long a call waits for an engine that does not answer. */
const TIMEOUT_MS = 2_000;
const PURGE_MS = 60_000;

/** Connects with the first call. */
export function openPostgresState(options: PostgresStateOptions): State {
  return new PostgresState(options);
}

class PostgresState implements State {
  readonly #values: SteadyConnection;
  readonly #control: SteadyConnection;
  readonly #limiter: RateLimiter;
  readonly #locks = new Set<RenewedLock>();
  readonly #now: () => number;
  readonly #purge: NodeJS.Timeout;

  constructor({ url, log, now = () => performance.now() }: PostgresStateOptions) {
    this.#values = new SteadyConnection({ url, log, purpose: "state's cache", timeoutMs: TIMEOUT_MS });
    this.#control = new SteadyConnection({ url, log, purpose: "state", timeoutMs: TIMEOUT_MS });
    this.#limiter = new RateLimiter({ engine: tokenEngine(this.#control), now });
    this.#now = now;
    // Every process does it, at its own moments: the first finds most, the others nearly nothing.
    const purge = () => void whereAway(undefined, () => this.#control.query("select state.purge()")).catch(() => {});
    this.#purge = setInterval(purge, PURGE_MS * (0.8 + Math.random() * 0.4)).unref();
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const bytes = keyBytes(key);
    return whereAway(undefined, async () => {
      const [row] = await this.#values.query<{ value: Uint8Array | null }>("select state.cache_get($1) as value", [
        bytes,
      ]);
      return row?.value ?? undefined;
    });
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    const bytes = keyBytes(key);
    checkValue(value);
    checkTtl(ttlMs);
    await whereAway(undefined, () => this.#values.query("select state.cache_set($1, $2, $3)", [bytes, value, ttlMs]));
  }

  async delete(key: string): Promise<void> {
    const bytes = keyBytes(key);
    await whereAway(undefined, () => this.#values.query("select state.cache_delete($1)", [bytes]));
  }

  async take(key: string, limit: RateLimit, cost = 1): Promise<RateLimitDecision> {
    try {
      return await this.#limiter.take(key, limit, cost);
    } catch (error) {
      if (!isConnectionFailure(error)) throw error;
      throw new AppError("SERVICE_UNAVAILABLE", "rate limits cannot be counted at the moment; repeat the call", {
        cause: error,
      });
    }
  }

  async lock(key: string, ttlMs: number): Promise<HeldLock | undefined> {
    const bytes = keyBytes(key);
    checkTtl(ttlMs);
    const askTime = this.#now();
    const fence = await whereAway(undefined, async () => {
      const [row] = await this.#control.query<{ fence: string | null }>("select state.lock_acquire($1, $2) as fence", [
        bytes,
        ttlMs,
      ]);
      return row?.fence ?? undefined;
    });
    if (fence === undefined) return undefined;
    const lock = new RenewedLock({
      fence: BigInt(fence),
      ttlMs,
      askTime,
      now: this.#now,
      renew: async () => {
        const [row] = await this.#control.query<{ held: boolean }>("select state.lock_renew($1, $2, $3) as held", [
          bytes,
          fence,
          ttlMs,
        ]);
        return row?.held === true;
      },
      release: () => {
        this.#locks.delete(lock);
        return this.#control.query("select state.lock_release($1, $2)", [bytes, fence]);
      },
    });
    this.#locks.add(lock);
    return lock;
  }

  problem(): string | undefined {
    return this.#control.problem() ?? this.#values.problem();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#purge);
    const held = [...this.#locks].map((lock) => lock[Symbol.asyncDispose]());
    await Promise.all([...held, this.#limiter[Symbol.asyncDispose]()]);
    await Promise.all([this.#values[Symbol.asyncDispose](), this.#control[Symbol.asyncDispose]()]);
  }
}

function tokenEngine(connection: SteadyConnection): TokenEngine {
  return {
    async take(key, tokenMs, burst, costs, spare) {
      const [row] = await connection.query<{ granted: boolean[]; spare: number; debt_ms: number }>(
        "select * from state.take($1, $2, $3, $4, $5)",
        [key, tokenMs, burst, costs, spare],
      );
      if (row === undefined) throw new Error("state.take gave no row");
      return { granted: row.granted, spare: row.spare, debtMs: row.debt_ms } satisfies TokensTaken;
    },
    async giveBack(key, tokenMs, tokens) {
      await connection.query("select state.give_back($1, $2, $3)", [key, tokenMs, tokens]);
    },
  };
}

/** What may be lost is not an error where the engine is away. */
async function whereAway<T, Else>(otherwise: Else, work: () => Promise<T>): Promise<T | Else> {
  try {
    return await work();
  } catch (error) {
    if (isConnectionFailure(error)) return otherwise;
    throw error;
  }
}
