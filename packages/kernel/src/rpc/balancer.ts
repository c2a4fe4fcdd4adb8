/**
 * The instances of one service and the choice among them: power of two choices over calls in flight and latency, without
 * those that fail. It knows no protocol and no socket: the service client's channel and the gateway both choose with it.
 */
import type { Instance } from "../registry/registry.ts";
import { type Breaker, type BreakerState, createBreaker, DEFAULT_EJECTION, type Ejection } from "./breaker.ts";

/**
 * Success: it answered, even with an error of the application. Failure: unreachable, broken, UNAVAILABLE, or too late.
 * Neutral: says nothing about the instance (the caller went away).
 */
export type Outcome = "success" | "failure" | "neutral";

export interface Pick {
  readonly instance: Instance;
  /** It began to answer: the instance is well, although the call, a stream, goes on. */
  answered(): void;
  /** Ends the call; only the first one counts. */
  done(outcome: Outcome): void;
}

export interface PickOptions {
  /** Ids of instances not to choose: those that were tried. */
  readonly exclude?: ReadonlySet<string>;
  /** Full name of the rpc service that the instance must list: "switchboard.identity.v1.IdentityService". */
  readonly methodServed?: string;
  /** A stream's duration says nothing about the instance's speed and is not measured. Default false. */
  readonly stream?: boolean;
}

export interface EndpointStatus {
  readonly instance: Instance;
  readonly inFlight: number;
  /** Whether it is chosen as usual. */
  readonly available: boolean;
  readonly breaker: BreakerState;
  /** Why it is not available: "5 failures in a row". */
  readonly problem: string | undefined;
}

export interface Balancer {
  /** Replaces the list. What is known about instances that stay is kept. */
  update(instances: readonly Instance[]): void;
  /** Undefined: no instance fits. Where every one that fits is ejected, the one ejected longest ago is tried. */
  pick(options?: PickOptions): Pick | undefined;
  endpoints(): readonly EndpointStatus[];
}

export interface BalancerOptions {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly ejection?: Partial<Ejection>;
}

/** Latencies are forgotten with this time constant, so that an instance that was slow is tried again. */
const DECAY_MS = 10_000;
/** Faster than this all instances count as equally fast. */
const FAST_MS = 4;

interface Endpoint {
  instance: Instance;
  readonly breaker: Breaker;
  inFlight: number;
  /** Whether a call tries it out after its ejection. */
  onTrial: boolean;
  /** Exponentially weighted average. */
  latencyMs: number;
  measuredAt: number;
}

export function createBalancer(options: BalancerOptions): Balancer {
  const { now, random } = options;
  const ejection: Ejection = { ...DEFAULT_EJECTION, ...options.ejection };
  let endpoints = new Map<string, Endpoint>();

  /** Latencies within a factor of two count as the same, so that calls one after another reach every instance. */
  const cost = (endpoint: Endpoint): number => {
    const latencyMs = endpoint.latencyMs * Math.exp((endpoint.measuredAt - now()) / DECAY_MS);
    return (endpoint.inFlight + 1) * 2 ** Math.floor(Math.log2(Math.max(latencyMs, FAST_MS)));
  };

  const choose = (candidates: readonly Endpoint[]): Endpoint | undefined => {
    if (candidates.length < 2) return candidates[0];
    const first = Math.floor(random() * candidates.length);
    const second = (first + 1 + Math.floor(random() * (candidates.length - 1))) % candidates.length;
    const [a, b] = [candidates[first], candidates[second]];
    return a && b && cost(b) < cost(a) ? b : a;
  };

  const measure = (endpoint: Endpoint, latencyMs: number) => {
    const weight = Math.exp((endpoint.measuredAt - now()) / DECAY_MS) * 0.9;
    endpoint.latencyMs = endpoint.latencyMs * weight + latencyMs * (1 - weight);
    endpoint.measuredAt = now();
  };

  const mayEject = () => {
    let ejected = 0;
    for (const endpoint of endpoints.values()) if (endpoint.breaker.state() !== "closed") ejected += 1;
    return ejected === 0 || ejected / endpoints.size < ejection.maxEjectedShare;
  };

  const begin = (endpoint: Endpoint, stream: boolean): Pick => {
    const start = now();
    let ended = false;
    let trial = endpoint.breaker.state() === "half_open";
    if (trial) endpoint.onTrial = true;
    const endTrial = () => {
      if (trial) endpoint.onTrial = false;
      trial = false;
    };
    endpoint.inFlight += 1;
    return {
      instance: endpoint.instance,
      answered() {
        if (ended) return;
        endTrial();
        endpoint.breaker.succeed();
      },
      done(outcome) {
        if (ended) return;
        ended = true;
        endTrial();
        endpoint.inFlight -= 1;
        if (outcome === "failure") endpoint.breaker.fail(mayEject());
        if (outcome !== "success") return;
        endpoint.breaker.succeed();
        if (!stream) measure(endpoint, now() - start);
      },
    };
  };

  return {
    update(instances) {
      endpoints = new Map(
        instances.map((instance) => {
          const known = endpoints.get(instance.instanceId);
          if (known?.instance.address === instance.address) {
            known.instance = instance;
            return [instance.instanceId, known];
          }
          return [
            instance.instanceId,
            {
              instance,
              breaker: createBreaker(now, ejection),
              inFlight: 0,
              onTrial: false,
              latencyMs: 0,
              measuredAt: -Infinity,
            },
          ];
        }),
      );
    },
    pick({ exclude, methodServed, stream = false } = {}) {
      const fitting = [...endpoints.values()].filter(
        ({ instance }) =>
          !exclude?.has(instance.instanceId) &&
          (methodServed === undefined || instance.rpcServices.includes(methodServed)),
      );
      const chosen =
        choose(fitting.filter(isAvailable)) ??
        // Everybody may be wrong about everybody: a call that may fail is better than one that must.
        fitting.reduce<Endpoint | undefined>(
          (oldest, next) => (oldest && oldest.breaker.openTime() <= next.breaker.openTime() ? oldest : next),
          undefined,
        );
      return chosen && begin(chosen, stream);
    },
    endpoints: () => [...endpoints.values()].map(statusOf),
  };
}

/** A half-open one takes one call until that has shown how it is. */
function isAvailable(endpoint: Endpoint): boolean {
  const state = endpoint.breaker.state();
  return state === "closed" || (state === "half_open" && !endpoint.onTrial);
}

function statusOf(endpoint: Endpoint): EndpointStatus {
  const available = isAvailable(endpoint);
  return {
    instance: endpoint.instance,
    inFlight: endpoint.inFlight,
    available,
    breaker: endpoint.breaker.state(),
    problem: available ? undefined : `${endpoint.breaker.failures()} failures in a row`,
  };
}
