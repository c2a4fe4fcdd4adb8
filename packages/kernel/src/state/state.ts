/**
 * The state port: what instances share and may lose. Cache, rate limits, locks. Keys are private to the credential:
 * two services never see each other's. A key has 1 to 512 bytes of UTF-8, a time in milliseconds is 1 to 2,147,483,647:
 * anything else rejects with RangeError. Drivers beside this file; their law in state.law.ts.
 */

export interface RateLimit {
  /** How many a window allows in the long run; at least 1. */
  readonly requests: number;
  readonly windowMs: number;
  /** How many may come at once; at least 1. */
  readonly burst: number;
}

export interface RateLimitDecision {
  readonly allowed: boolean;
  /** How many more would be allowed at once, at least 0. */
  readonly remaining: number;
  /** Allowed: 0. Refused: when the next one would be allowed. */
  readonly retryAfterMs: number;
  /** When the full burst is there again. */
  readonly resetAfterMs: number;
}

/** A lock that is held. Its fencing number grows with every holder: a store that has seen a higher one refuses a lower. */
export interface HeldLock extends AsyncDisposable {
  readonly fence: bigint;
  /** Aborts when the lock is lost: renewal failed for longer than its time. */
  readonly signal: AbortSignal;
}

export interface State extends AsyncDisposable {
  /** The value, or undefined where there is none, it expired, or the engine is away. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Keeps a value of at most 1 MiB for `ttlMs` (engine's clock). Where the engine is away, it is not kept and no error. */
  set(key: string, value: Uint8Array, ttlMs: number): Promise<void>;
  /** Where the engine is away, the value stays until its time is over, and no error. */
  delete(key: string): Promise<void>;
  /**
   * Takes `cost` from a limit, counted over all instances (GCRA, engine's clock). Instances lease a few tokens at a time
   * for hot keys: the overshoot is at most one lease (a tenth of the burst, 10 at most) an instance. Leased tokens that
   * are not used within 150 ms go back. A refusal is given again for up to 1 s without asking the engine.
   * Rejects with AppError SERVICE_UNAVAILABLE where the engine is away: the caller knows whether to let the call pass.
   * @throws RangeError where the limit is not of whole numbers from 1, or `cost` is not 1 to the burst.
   */
  take(key: string, limit: RateLimit, cost?: number): Promise<RateLimitDecision>;
  /** The lock, or undefined where somebody else holds it or the engine is away. Renewed by itself until disposed. */
  lock(key: string, ttlMs: number): Promise<HeldLock | undefined>;
  problem(): string | undefined;
}
