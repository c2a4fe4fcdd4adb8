/**
 * Bounds how many wrong passwords are tried, over all instances; right ones count nothing. Nobody who guesses keeps a
 * person out: rules/sign-in-limits.ts has the rule. Tries of one account from one network go one after another in an
 * instance, else parallel guesses would all be made before the first was counted.
 */
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import type { Database } from "@switchboard/kernel/database/database";
import {
  networkOf,
  type SignInLimits,
  type Tallies,
  type Tally,
  talliesOf,
  talliesOfSession,
  waitBeforeTry,
} from "../rules/sign-in-limits.ts";
import { countFailure, forgetFailures, isKnownNetwork, readCounters } from "../store/password-tries.ts";

export interface SignInThrottleOptions {
  readonly database: Database;
  readonly limits: SignInLimits & { readonly sessionMaxMs: number };
  now(): number;
}

/** How a call ends whose password was wrong. */
const WRONG: ReadonlySet<ReasonName> = new Set(["WRONG_CREDENTIALS", "ALREADY_EXISTS", "REQUEST_ID_REUSED"]);

export class SignInThrottle {
  readonly #options: SignInThrottleOptions;
  /** The end of the last try of each source. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(options: SignInThrottleOptions) {
    this.#options = options;
  }

  /** Makes a try of somebody who is not signed in. @throws AppError RATE_LIMITED, and what `attempt` throws */
  async attempt<T>(email: string, clientAddress: string, attempt: () => Promise<T>): Promise<T> {
    const { database, limits, now } = this.#options;
    const tallies = talliesOf(email, clientAddress, limits);
    const since = new Date(now() - limits.sessionMaxMs);
    const isKnown = () => isKnownNetwork(database.queries, email, networkOf(clientAddress), since);
    return this.#inTurn(tallies.source, () => this.#attempt(tallies, isKnown, attempt));
  }

  /** Makes a try of somebody who is signed in. @throws AppError RATE_LIMITED, and what `attempt` throws */
  async attemptInSession<T>(sessionId: string, attempt: () => Promise<T>): Promise<T> {
    const tallies = talliesOfSession(sessionId, this.#options.limits);
    return this.#inTurn(tallies.source, () => this.#attempt(tallies, () => Promise.resolve(true), attempt));
  }

  async #attempt<T>(tallies: Tallies, isKnown: () => Promise<boolean>, attempt: () => Promise<T>): Promise<T> {
    const { database, now } = this.#options;
    const { queries } = database;
    const { source, account, address } = tallies;
    const all = [source, account, address].filter((tally) => tally !== undefined);
    const [counters, known] = await Promise.all([readCounters(queries, all, new Date(now())), isKnown()]);
    const retryAfterMs = Math.ceil(waitBeforeTry(tallies, counters, known, now()));
    if (retryAfterMs > 0) {
      throw new AppError("RATE_LIMITED", "too many wrong passwords came; wait and try again", { retryAfterMs });
    }
    try {
      const result = await attempt();
      if (counters.has(source.counter)) await forgetFailures(queries, source);
      return result;
    } catch (error) {
      if (error instanceof AppError && WRONG.has(error.reason)) {
        // Somebody who mistypes at home is nobody who guesses from many places.
        const counted = known ? all.filter((tally) => tally !== account) : all;
        await countFailure(queries, counted, new Date(now()));
      }
      throw error;
    }
  }

  async #inTurn<T>({ counter }: Tally, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(counter);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turns.set(counter, promise);
    await before;
    try {
      return await work();
    } finally {
      resolve();
      if (this.#turns.get(counter) === promise) this.#turns.delete(counter);
    }
  }
}
