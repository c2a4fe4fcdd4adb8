/** This process's own service token: fetched, kept, and renewed long before it ends, so that Auth may be away meanwhile. */
import { AppError } from "@switchboard/contract/app-error";
import type { Logger } from "pino";

export interface ServiceToken extends AsyncDisposable {
  /**
   * The current token; without one it waits for the next, 5 s at most.
   * @throws AppError AUTH_UNAVAILABLE
   */
  get(): Promise<string>;
  /** Undefined: working. Otherwise what it lacks, for readiness. */
  problem(): string | undefined;
}

export interface ServiceTokenOptions {
  /** Must end in bounded time. */
  readonly issue: () => Promise<{ readonly token: string; readonly expireTimeMs: number }>;
  readonly now: () => number;
  readonly log: Logger;
  /** How long `get` waits for a token. Default 5,000. */
  readonly waitMs?: number;
}

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 15_000;

export function openServiceToken(options: ServiceTokenOptions): ServiceToken {
  const { issue, now, log, waitMs = 5_000 } = options;
  let current: { readonly token: string; readonly expireTimeMs: number } | undefined;
  let next = Promise.withResolvers<void>();
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  const valid = () => (current !== undefined && now() < current.expireTimeMs ? current.token : undefined);
  const renew = async (): Promise<void> => {
    let pauseMs: number;
    try {
      current = await issue();
      failures = 0;
      pauseMs = Math.max(FIRST_RETRY_MS, (current.expireTimeMs - now()) / 4);
      next.resolve();
      next = Promise.withResolvers();
    } catch (error) {
      if (failures === 0 && !ended) log.warn({ err: error }, "no service token can be had from Auth");
      failures += 1;
      // Half fixed, half chance: a platform that starts does not ask in step.
      pauseMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10)) * (0.5 + Math.random() / 2);
    }
    if (ended) return;
    timer = setTimeout(() => {
      renewing = renew();
    }, pauseMs);
    timer.unref();
  };
  let renewing = renew();

  return {
    async get() {
      const token = valid();
      if (token !== undefined) return token;
      await atMost(waitMs, next.promise);
      const later = valid();
      if (later !== undefined) return later;
      throw new AppError("AUTH_UNAVAILABLE", "this service has no token of its own at the moment; try again");
    },
    problem: () => (valid() === undefined ? "no service token could be had from Auth" : undefined),
    async [Symbol.asyncDispose]() {
      ended = true;
      clearTimeout(timer);
      next.resolve();
      await renewing;
    },
  };
}

function atMost(ms: number, promise: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    promise.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
