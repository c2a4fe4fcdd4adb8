/**
 * Bounds how often passwords are tried, over all instances: per account and per address. Each try counts, right or wrong:
 * a counter of failures alone would let parallel guesses through. While the shared state is away no password is tried.
 */
import { AppError } from "@switchboard/contract/app-error";
import type { State } from "@switchboard/kernel/state/state";
import { accountCounter, addressCounter, SIGN_IN_WINDOW_MS } from "../rules/sign-in-limits.ts";

export interface SignInLimits {
  /** In 15 minutes. */
  readonly signInsPerAccount: number;
  /** In 15 minutes. */
  readonly signInsPerAddress: number;
}

export class SignInThrottle {
  readonly #state: State;
  readonly #limits: SignInLimits;

  constructor(state: State, limits: SignInLimits) {
    this.#state = state;
    this.#limits = limits;
  }

  /** Counts a try. @throws AppError RATE_LIMITED, SERVICE_UNAVAILABLE */
  async admit(email: string, clientAddress: string): Promise<void> {
    const address = addressCounter(clientAddress);
    if (address !== undefined) await this.#take(address, this.#limits.signInsPerAddress);
    await this.#take(accountCounter(email), this.#limits.signInsPerAccount);
  }

  async #take(counter: string, requests: number): Promise<void> {
    const limit = { requests, windowMs: SIGN_IN_WINDOW_MS, burst: requests };
    const { allowed, retryAfterMs } = await this.#state.take(counter, limit);
    if (allowed) return;
    throw new AppError("RATE_LIMITED", "too many passwords were tried; wait and try again", { retryAfterMs });
  }
}
