/**
 * What an instance knows of rate limits by itself, so that not every call costs a round trip: tokens it has leased for a
 * hot key, and until when a key is refused. The engine decides everything else; a driver gives it as a `TokenEngine`.
 */
import type { RateLimit, RateLimitDecision } from "./state.ts";
import { keyBytes } from "./state-key.ts";

/** GCRA in the engine. `tokenMs`: the time in which one token comes back. */
export interface TokenEngine {
  /** Takes each cost that fits, in order, and up to `spare` tokens more where plenty are left. */
  take(key: Uint8Array, tokenMs: number, burst: number, costs: readonly number[], spare: number): Promise<TokensTaken>;
  /** Spare tokens that were not used. */
  giveBack(key: Uint8Array, tokenMs: number, tokens: number): Promise<void>;
}

export interface TokensTaken {
  /** For each cost whether it was taken. */
  readonly granted: readonly boolean[];
  readonly spare: number;
  /** How long until the whole burst is there again, after what was taken. */
  readonly debtMs: number;
}

export interface RateLimiterOptions {
  readonly engine: TokenEngine;
  /** Milliseconds of a clock that only goes on; from when does not matter. */
  readonly now: () => number;
}

/** A key is hot when it is asked for again within this time: then tokens are leased. */
const HOT_MS = 100;
/** Spare tokens are used within this time or given back. */
const LEASE_MS = 150;
/** A refusal is remembered for as long as it holds and no longer than this: others may give tokens back. */
const REFUSAL_MS = 1_000;
const SWEEP_MS = 100;
const IDLE_MS = 1_000;
const MAX_BATCH = 100;

export class RateLimiter implements AsyncDisposable {
  readonly #options: RateLimiterOptions;
  readonly #buckets = new Map<string, Bucket>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: RateLimiterOptions) {
    this.#options = options;
  }

  /** @throws RangeError; the engine's error where it does not answer. */
  take(key: string, limit: RateLimit, cost: number): Promise<RateLimitDecision> {
    check(limit, cost);
    const id = `${limit.requests}/${limit.windowMs}/${limit.burst}/${key}`;
    let bucket = this.#buckets.get(id);
    if (bucket === undefined) {
      bucket = new Bucket(engineKey(key, limit), limit, this.#options);
      this.#buckets.set(id, bucket);
      this.#sweep ??= setInterval(() => this.#tidy(), SWEEP_MS).unref();
    }
    return bucket.take(cost);
  }

  /** Gives back what is leased. Never fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweep);
    await Promise.all([...this.#buckets.values()].map((bucket) => bucket.giveBack()));
    this.#buckets.clear();
  }

  #tidy(): void {
    const now = this.#options.now();
    for (const [id, bucket] of this.#buckets) {
      if (now >= bucket.leaseEnd) void bucket.giveBack();
      if (bucket.idle(now)) this.#buckets.delete(id);
    }
    if (this.#buckets.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

interface Waiter {
  readonly cost: number;
  readonly resolve: (decision: RateLimitDecision) => void;
  readonly reject: (error: unknown) => void;
}

/** One key under one limit. At most one request to the engine is under way; who comes meanwhile shares the next. */
class Bucket {
  readonly #key: Uint8Array;
  readonly #burst: number;
  readonly #tokenMs: number;
  readonly #maxSpare: number;
  readonly #options: RateLimiterOptions;
  readonly #waiters: Waiter[] = [];
  #asking = false;
  #spare = 0;
  leaseEnd = 0;
  #lastTake = Number.NEGATIVE_INFINITY;
  /** When the whole burst is there again, as far as this instance knows. */
  #fullTime = Number.NEGATIVE_INFINITY;
  #refusal = { cost: Number.POSITIVE_INFINITY, end: 0 };

  constructor(key: Uint8Array, limit: RateLimit, options: RateLimiterOptions) {
    this.#key = key;
    this.#burst = limit.burst;
    this.#tokenMs = limit.windowMs / limit.requests;
    this.#maxSpare = Math.min(10, Math.floor(limit.burst / 10));
    this.#options = options;
  }

  async take(cost: number): Promise<RateLimitDecision> {
    const now = this.#options.now();
    const hot = now - this.#lastTake < HOT_MS;
    this.#lastTake = now;
    if (cost <= this.#spare && now < this.leaseEnd) {
      this.#spare -= cost;
      return this.#decision(true, cost);
    }
    if (cost >= this.#refusal.cost && now < this.#refusal.end) return this.#decision(false, cost);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ cost, resolve, reject });
      if (!this.#asking) void this.#ask(hot);
    });
  }

  idle(now: number): boolean {
    return !this.#asking && this.#spare === 0 && now - this.#lastTake > IDLE_MS;
  }

  async giveBack(): Promise<void> {
    const tokens = this.#spare;
    if (tokens === 0) return;
    this.#spare = 0;
    this.#fullTime -= tokens * this.#tokenMs;
    // Tokens that an engine which is away does not get back come back with time.
    await this.#options.engine.giveBack(this.#key, this.#tokenMs, tokens).catch(() => {});
  }

  async #ask(hot: boolean): Promise<void> {
    this.#asking = true;
    for (let first = true; this.#waiters.length > 0; first = false) {
      const batch = this.#waiters.splice(0, MAX_BATCH);
      const costs = batch.map(({ cost }) => cost);
      const wanted = hot || !first || batch.length > 1 ? this.#maxSpare - this.#spare : 0;
      try {
        const taken = await this.#options.engine.take(this.#key, this.#tokenMs, this.#burst, costs, wanted);
        this.#learn(taken, costs);
        batch.forEach(({ cost, resolve }, index) => {
          resolve(this.#decision(taken.granted[index] === true, cost));
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#asking = false;
  }

  #learn({ granted, spare, debtMs }: TokensTaken, costs: readonly number[]): void {
    const now = this.#options.now();
    this.#fullTime = now + debtMs;
    if (spare > 0) {
      this.#spare += spare;
      this.leaseEnd = now + LEASE_MS;
    }
    const cost = Math.min(...costs.filter((_, index) => !granted[index]));
    this.#refusal = { cost, end: now + Math.min(this.#waitMs(cost, now), REFUSAL_MS) };
  }

  /** How long until the engine has `cost` tokens. */
  #waitMs(cost: number, now: number): number {
    return Math.max(this.#fullTime - now - (this.#burst - cost) * this.#tokenMs, 0);
  }

  #decision(allowed: boolean, cost: number): RateLimitDecision {
    const now = this.#options.now();
    const debtMs = Math.max(this.#fullTime - now, 0);
    const there = Math.floor(this.#burst - debtMs / this.#tokenMs + 1e-3) + this.#spare;
    return {
      allowed,
      remaining: Math.min(Math.max(there, 0), this.#burst),
      retryAfterMs: allowed ? 0 : Math.max(Math.ceil(this.#waitMs(cost, now)), 1),
      resetAfterMs: Math.ceil(Math.max(debtMs - this.#spare * this.#tokenMs, 0)),
    };
  }
}

function check({ requests, windowMs, burst }: RateLimit, cost: number): void {
  const whole = (value: number) => Number.isInteger(value) && value >= 1 && value <= 1_000_000_000;
  if (!whole(requests) || !whole(windowMs) || !whole(burst)) {
    throw new RangeError("requests, windowMs and burst of a rate limit must be whole numbers from 1 to 1,000,000,000");
  }
  if (!whole(cost) || cost > burst) throw new RangeError("a cost must be a whole number from 1 to the burst");
}

/** With the limit in it: after a change of it nobody pays what was owed under another. */
export function engineKey(key: string, { requests, windowMs, burst }: RateLimit): Uint8Array {
  const limit = new Uint32Array([requests, windowMs, burst]);
  return Buffer.concat([keyBytes(key), new Uint8Array(limit.buffer)]);
}
