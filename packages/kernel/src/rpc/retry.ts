/**
 * Whether a failed call is repeated, and when: gRFC A6 (attempts, backoff with jitter, server pushback, throttling by a
 * token bucket). It decides; waiting and sending are the caller's: the service client's channel, and the gateway.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { peerFaultOf } from "./peer-fault.ts";

export interface RetryPolicy {
  /** How often a peer may work on the call. Requests that provably nobody processed do not count. Default 3. */
  readonly maxAttempts: number;
  /** Default 25. */
  readonly initialBackoffMs: number;
  /** Default 1,000. */
  readonly maxBackoffMs: number;
  /** Default 2. */
  readonly backoffMultiplier: number;
  /** For how long a request that nobody processed is offered again: a service may be restarting. Default 5,000. */
  readonly patienceMs: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = Object.freeze({
  maxAttempts: 3,
  initialBackoffMs: 25,
  maxBackoffMs: 1_000,
  backoffMultiplier: 2,
  patienceMs: 5_000,
});

/** A failure, as far as a retry is concerned. */
export interface Failure {
  /** Whether a peer may have begun with the request. */
  readonly maybeProcessed: boolean;
  /** Whether it may pass by itself: UNAVAILABLE, or a broken connection. */
  readonly transient: boolean;
  /** What the peer asked for: to wait that long, or never to try again; undefined: nothing. */
  readonly pushbackMs: number | "never" | undefined;
}

/** Bounds the retries of all calls to one service, so that a service in trouble is not buried by them. */
export interface RetryBudget {
  succeeded(): void;
  /** Counts a failure. */
  failed(): void;
  /** Whether a retry is affordable now. */
  allows(): boolean;
}

/** Half of the tokens is the threshold: after 500 failures with few successes between them, retries stop. */
const MAX_TOKENS = 1_000;
/** Ten successes pay for one failure. */
const TOKEN_RATIO = 0.1;

export function createRetryBudget(): RetryBudget {
  let tokens = MAX_TOKENS;
  return {
    succeeded() {
      tokens = Math.min(MAX_TOKENS, tokens + TOKEN_RATIO);
    },
    failed() {
      tokens = Math.max(0, tokens - 1);
    },
    allows: () => tokens > MAX_TOKENS / 2,
  };
}

export interface RetryOptions {
  /** Whether the call does no harm when it is processed twice; see `isRepeatable`. */
  readonly repeatable: boolean;
  readonly budget: RetryBudget;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  readonly policy?: Partial<RetryPolicy>;
}

export interface Retry {
  /**
   * What to do after a failure: send again after so many milliseconds, or give up.
   * @param othersLeft whether an instance is left that was not tried: a request that nobody processed goes there at once.
   */
  after(failure: Failure, othersLeft: boolean): { readonly delayMs: number } | { readonly giveUp: string };
}

/** The retries of one call. */
export function createRetry(options: RetryOptions): Retry {
  const { repeatable, budget, now, random } = options;
  const policy: RetryPolicy = { ...DEFAULT_RETRY_POLICY, ...options.policy };
  const start = now();
  let processed = 0;
  let backoffs = 0;

  const backoffMs = () => {
    const longest = policy.initialBackoffMs * policy.backoffMultiplier ** backoffs;
    backoffs += 1;
    return Math.min(longest, policy.maxBackoffMs) * (0.8 + random() * 0.4);
  };

  return {
    after(failure, othersLeft) {
      if (!failure.maybeProcessed) {
        if (othersLeft) return { delayMs: 0 };
        if (now() - start >= policy.patienceMs) return { giveUp: "no instance could be reached" };
        return { delayMs: backoffMs() };
      }
      processed += 1;
      if (!failure.transient) return { giveUp: "the answer is final" };
      budget.failed();
      if (!repeatable) return { giveUp: "the call may have had an effect, and repeating it is not safe" };
      if (failure.pushbackMs === "never") return { giveUp: "the service asked not to repeat it" };
      if (processed >= policy.maxAttempts) return { giveUp: "the attempts are used up" };
      if (!budget.allows()) return { giveUp: "too many calls to this service fail: the retry budget is used up" };
      return { delayMs: failure.pushbackMs ?? backoffMs() };
    },
  };
}

/** What an error of a call says to a retry. */
export function failureOf(error: unknown): Failure {
  const fault = peerFaultOf(error);
  if (fault) return { maybeProcessed: fault.maybeProcessed, transient: true, pushbackMs: undefined };
  const answered = error instanceof ConnectError ? error : undefined;
  return {
    maybeProcessed: true,
    transient: answered?.code === Code.Unavailable,
    pushbackMs: answered && pushbackOf(answered),
  };
}

/**
 * Whether a call does no harm when it is processed twice: the contract says so (`idempotency_level`), or it is a write
 * with a `request_id` (AIP-155).
 */
export function isRepeatable(policy: { readonly repeatable: boolean }, input: DescMessage, request: object): boolean {
  if (policy.repeatable) return true;
  const field = input.fields.find((candidate) => candidate.name === "request_id");
  const value: unknown = field && Reflect.get(request, field.localName);
  return typeof value === "string" && value !== "";
}

/** gRFC A6's trailer, where a negative or malformed value forbids a retry, or google.rpc.RetryInfo (AIP-193). */
function pushbackOf(error: ConnectError): Failure["pushbackMs"] {
  const trailer = error.metadata.get("grpc-retry-pushback-ms");
  if (trailer !== null) return /^\d+$/.test(trailer) ? Number(trailer) : "never";
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Number(delay.seconds) * 1_000 + Math.ceil(delay.nanos / 1e6);
}
