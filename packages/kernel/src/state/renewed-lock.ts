/** A lock that is held and renewed until it is released or lost. A driver says how to renew and to release it. */
import { setTimeout as delay } from "node:timers/promises";
import type { HeldLock } from "./state.ts";

export interface RenewedLockOptions {
  readonly fence: bigint;
  readonly ttlMs: number;
  /** When it was asked for, by `now`: it is held until `ttlMs` later at least. */
  readonly askTime: number;
  /** Milliseconds of a clock that only goes on; from when does not matter. */
  readonly now: () => number;
  /** False: it is not held any more. Rejects where the engine does not answer. */
  readonly renew: () => Promise<boolean>;
  readonly release: () => Promise<unknown>;
}

export class RenewedLock implements HeldLock {
  readonly fence: bigint;
  readonly signal: AbortSignal;
  readonly #options: RenewedLockOptions;
  readonly #loss = new AbortController();
  readonly #released = new AbortController();
  readonly #renewing: Promise<void>;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RenewedLockOptions) {
    this.fence = options.fence;
    this.signal = this.#loss.signal;
    this.#options = options;
    this.#holdFrom(options.askTime);
    this.#renewing = this.#renew();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released.signal.aborted) return this.#renewing;
    this.#released.abort();
    clearTimeout(this.#timer);
    await this.#renewing;
    // An engine that is away lets it expire.
    await this.#options.release().catch(() => {});
  }

  async #renew(): Promise<void> {
    const { ttlMs, now, renew } = this.#options;
    const over = AbortSignal.any([this.#released.signal, this.signal]);
    for (let waitMs = ttlMs / 3; ; ) {
      await delay(waitMs, undefined, { signal: over }).catch(() => {});
      if (over.aborted) return;
      const askTime = now();
      try {
        if (!(await renew())) return this.#lose();
        if (over.aborted) return;
        this.#holdFrom(askTime);
        waitMs = ttlMs / 3;
      } catch {
        waitMs = ttlMs / 20;
      }
    }
  }

  #holdFrom(askTime: number): void {
    clearTimeout(this.#timer);
    const leftMs = askTime + this.#options.ttlMs - this.#options.now();
    this.#timer = setTimeout(() => this.#lose(), leftMs);
  }

  #lose(): void {
    clearTimeout(this.#timer);
    this.#loss.abort(new Error("the lock was lost: it could not be renewed in time"));
  }
}
