/**
 * The attempts of one call: which instance gets it, and after a failure whether another does. It ends with an answer, or
 * with an error that says what was tried. What is sent is the channel's.
 */
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { Balancer, Outcome, Pick } from "./balancer.ts";
import { callFailure } from "./call-failure.ts";
import type { Deadline } from "./deadline.ts";
import type { Endpoint, EndpointCall } from "./endpoint.ts";
import { peerFaultOf } from "./peer-fault.ts";
import { failureOf, type Retry, type RetryBudget } from "./retry.ts";

export interface AttemptsOptions {
  /** The service's name in the registry, for messages. */
  readonly service: string;
  /** Full name of the rpc service that the instance must list. */
  readonly rpcService: string;
  readonly call: EndpointCall;
  readonly stream: boolean;
  readonly balancer: Balancer;
  readonly endpointOf: (pick: Pick) => Endpoint;
  /** Resolves with the next change of the instances. */
  readonly changed: () => Promise<void>;
  /** How long to wait for an instance where there is none. */
  readonly waitForInstanceMs: number;
  readonly deadline: Deadline;
  readonly retry: Retry;
  readonly budget: RetryBudget;
}

/** An attempt that was answered, or began to be. */
export interface Attempt<T> {
  readonly answer: T;
  /** The first message of a stream is here. */
  began(): void;
  /** The whole answer is here. */
  succeeded(): void;
  /** The caller lost interest. */
  abandoned(): void;
  /** Resolves when the call may be sent again, after its pause. @throws ConnectError what the caller gets. */
  failed(error: unknown): Promise<void>;
  /** The error that the caller gets where nothing may be repeated any more. */
  final(error: unknown): ConnectError;
}

export interface Attempts {
  /** Sends until an instance answers. @throws ConnectError what the caller gets. */
  next<T>(send: (transport: Transport, timeoutMs: number | undefined) => Promise<T>): Promise<Attempt<T>>;
}

/**
 * A peer counts the same deadline with a clock of its own, and resets the stream when it is over there: a stream that
 * breaks off so shortly before the end here was late, and not lost.
 */
const DEADLINE_SLACK_MS = 20;

export function createAttempts(options: AttemptsOptions): Attempts {
  const { balancer, call, deadline, retry, rpcService, stream } = options;
  const excluded = new Set<string>();
  const tried: string[] = [];

  const leftMs = (): number => {
    try {
      return deadline.remainingMs() ?? Number.POSITIVE_INFINITY;
    } catch {
      return 0;
    }
  };
  const fail = (error: unknown, why: string): ConnectError => {
    const late = peerFaultOf(error)?.kind === "broken" && leftMs() <= DEADLINE_SLACK_MS;
    const told = late ? new ConnectError("the peer's deadline passed", Code.DeadlineExceeded, {}, [], error) : error;
    return callFailure(told, {
      why,
      tried,
      service: options.service,
      bidi: call.bidi,
      endpoints: balancer.endpoints(),
    });
  };

  const pick = (): Pick | undefined => {
    const preferred = balancer.pick({ exclude: excluded, methodServed: rpcService, stream });
    if (preferred) return preferred;
    excluded.clear();
    return balancer.pick({ methodServed: rpcService, stream });
  };
  const remainingMs = (): number | undefined => {
    try {
      return deadline.remainingMs();
    } catch (error) {
      throw fail(error, "the deadline passed");
    }
  };
  const choose = async (): Promise<{ used: Pick; timeoutMs: number | undefined }> => {
    const patienceEnd = performance.now() + options.waitForInstanceMs;
    for (;;) {
      const timeoutMs = remainingMs();
      const used = pick();
      if (used) return { used, timeoutMs };
      const leftMs = patienceEnd - performance.now();
      if (leftMs <= 0) throw fail(undefined, `no instance serves ${rpcService}`);
      await deadline.pause(leftMs, options.changed());
    }
  };
  const othersLeft = () =>
    balancer
      .endpoints()
      .some(
        ({ available, instance }) =>
          available && !excluded.has(instance.instanceId) && instance.rpcServices.includes(rpcService),
      );

  /** Resolves when the call may be sent again; otherwise throws what the caller gets. */
  const failed = async (error: unknown, used: Pick): Promise<void> => {
    used.done(outcomeOf(error));
    excluded.add(used.instance.instanceId);
    const others = othersLeft();
    const decision = retry.after(failureOf(error), others);
    if ("giveUp" in decision) throw fail(error, decision.giveUp);
    if (!call.resendable()) throw fail(error, "the messages of the stream were already sent");
    const refusesGrpc = peerFaultOf(error)?.kind.endsWith("_refused") === true;
    if (refusesGrpc && !others) throw fail(error, "no other instance is left");
    if ((remainingMs() ?? Number.POSITIVE_INFINITY) <= decision.delayMs) throw fail(error, "the deadline is too near");
    if (decision.delayMs > 0) await deadline.pause(decision.delayMs);
  };

  return {
    async next(send) {
      for (;;) {
        const { used, timeoutMs } = await choose();
        tried.push(used.instance.instanceId);
        try {
          const answer = await options.endpointOf(used).attempt(call, (transport) => send(transport, timeoutMs));
          return attemptOf(answer, used);
        } catch (error) {
          await failed(error, used);
        }
      }
    },
  };

  function attemptOf<T>(answer: T, used: Pick): Attempt<T> {
    return {
      answer,
      began: () => used.answered(),
      succeeded() {
        used.done("success");
        options.budget.succeeded();
      },
      abandoned: () => used.done("neutral"),
      failed: (error) => failed(error, used),
      final(error) {
        used.done(outcomeOf(error));
        return fail(error, "a part of the answer was already given");
      },
    };
  }
}

function outcomeOf(error: unknown): Outcome {
  if (peerFaultOf(error)) return "failure";
  // Not from the network: the request could not be made.
  if (!(error instanceof ConnectError)) return "neutral";
  if (error.code === Code.Canceled) return "neutral";
  if (error.code === Code.Unavailable || error.code === Code.DeadlineExceeded) return "failure";
  return error.isWireError ? "success" : "neutral";
}
