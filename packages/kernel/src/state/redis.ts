/**
 * The state in Redis: values and locks as keys with a time to live, limits as GCRA in a script, all on Redis's clock.
 * Every call is answered within a second: where Redis is away there is no value, no lock, and limits say so.
 */
import { AppError } from "@switchboard/contract/app-error";
import type { Logger } from "pino";
import { RateLimiter, type TokenEngine } from "./rate-limiter.ts";
import type { RedisClientOptions } from "./redis/client.ts";
import { RedisConnection } from "./redis/connection.ts";
import { RedisAway } from "./redis/failure.ts";
import { RedisKeys } from "./redis/keys.ts";
import { acquire, giveBack, release, renew, take } from "./redis/scripts.ts";
import { RenewedLock } from "./renewed-lock.ts";
import type { HeldLock, RateLimit, RateLimitDecision, State } from "./state.ts";
import { checkTtl, checkValue } from "./state-key.ts";

/** As the user of the service; see redis/provision.ts. */
export interface RedisStateOptions extends RedisClientOptions {
  /** Whose keys they are: "identity". */
  readonly service: string;
  readonly log: Logger;
  /**
   * Milliseconds of a clock that only goes on, for the lengths of leases and locks here; from when does not matter, since
   * all times are the engine's. Default: performance.now().
   */
  readonly now?: () => number;
}

/** Connects with the first call. */
export function openRedisState(options: RedisStateOptions): State {
  return new RedisState(options);
}

class RedisState implements State {
  readonly #redis: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #limiter: RateLimiter;
  readonly #locks = new Set<RenewedLock>();
  readonly #now: () => number;

  constructor({ service, log, now = () => performance.now(), ...client }: RedisStateOptions) {
    this.#redis = new RedisConnection(client, `switchboard:${service}`, log);
    this.#keys = new RedisKeys(service);
    this.#limiter = new RateLimiter({ engine: tokenEngine(this.#redis, this.#keys), now });
    this.#now = now;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const name = this.#keys.value(key);
    return whereAway(undefined, async () => (await this.#redis.run((client) => client.getBuffer(name))) ?? undefined);
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    const name = this.#keys.value(key);
    checkValue(value);
    checkTtl(ttlMs);
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    await whereAway(undefined, () => this.#redis.run((client) => client.set(name, bytes, "PX", Math.ceil(ttlMs))));
  }

  async delete(key: string): Promise<void> {
    const name = this.#keys.value(key);
    await whereAway(undefined, () => this.#redis.run((client) => client.del(name)));
  }

  async take(key: string, limit: RateLimit, cost = 1): Promise<RateLimitDecision> {
    try {
      return await this.#limiter.take(key, limit, cost);
    } catch (error) {
      if (!(error instanceof RedisAway)) throw error;
      throw new AppError("SERVICE_UNAVAILABLE", "rate limits cannot be counted at the moment; repeat the call", {
        cause: error,
      });
    }
  }

  async lock(key: string, ttlMs: number): Promise<HeldLock | undefined> {
    const names = this.#keys.lock(key);
    const [name] = names;
    checkTtl(ttlMs);
    const ttl = Math.ceil(ttlMs);
    const askTime = this.#now();
    const fence = await whereAway(null, () => this.#redis.run((client) => acquire.run(client, names, ttl)));
    if (fence === null) return undefined;
    const held = String(fence);
    const lock = new RenewedLock({
      fence: BigInt(held),
      ttlMs,
      askTime,
      now: this.#now,
      renew: async () => (await this.#redis.run((client) => renew.run(client, [name], held, ttl))) === 1,
      release: () => {
        this.#locks.delete(lock);
        return this.#redis.run((client) => release.run(client, [name], held));
      },
    });
    this.#locks.add(lock);
    return lock;
  }

  problem(): string | undefined {
    return this.#redis.problem();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const held = [...this.#locks].map((lock) => lock[Symbol.asyncDispose]());
    await Promise.all([...held, this.#limiter[Symbol.asyncDispose]()]);
    await this.#redis[Symbol.asyncDispose]();
  }
}

function tokenEngine(redis: RedisConnection, keys: RedisKeys): TokenEngine {
  return {
    async take(key, tokenMs, burst, costs, spare) {
      const name = keys.limit(key);
      const answer = await redis.run((client) => take.run(client, [name], tokenMs * 1_000, burst, spare, ...costs));
      const [debtUs, spared, ...granted] = answer as [string, number, ...number[]];
      return { granted: granted.map((taken) => taken === 1), spare: spared, debtMs: Number(debtUs) / 1_000 };
    },
    async giveBack(key, tokenMs, tokens) {
      await redis.run((client) => giveBack.run(client, [keys.limit(key)], tokenMs * 1_000, tokens));
    },
  };
}

/** What may be lost is not an error where Redis is away. */
async function whereAway<T, Else>(otherwise: Else, work: () => Promise<T>): Promise<T | Else> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RedisAway) return otherwise;
    throw error;
  }
}
