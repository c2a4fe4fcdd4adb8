/**
 * The client side of one service: a connect `Transport` that finds the service's instances, chooses among them, and
 * repeats what may be repeated. A client is `createClient(IdentityService, channel)`. Every error that leaves it is a
 * ConnectError; `reasonOf` (errors.ts) reads its reason.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { SERVICE_TOKEN } from "@switchboard/contract/headers";
import { DEFAULT_TIMEOUT_MS, PolicyFault, resolvePolicy } from "@switchboard/contract/policy";
import type { Logger } from "pino";
import type { Registry } from "../registry/registry.ts";
import { type Attempts, createAttempts } from "./attempts.ts";
import { createBalancer, type EndpointStatus, type Pick as Picked } from "./balancer.ts";
import type { Ejection } from "./breaker.ts";
import { createDeadline } from "./deadline.ts";
import { type Endpoint, type EndpointMessages, type EndpointTiming, openEndpoint } from "./endpoint.ts";
import { fromAppError } from "./errors.ts";
import { createRetry, createRetryBudget, isRepeatable, type RetryPolicy } from "./retry.ts";
import type { ChannelTls } from "./session.ts";
import { streamMessages } from "./stream-messages.ts";
import { openStreamRequest } from "./stream-request.ts";

export interface ChannelOptions {
  /** The service's name in the registry: "identity". */
  readonly service: string;
  readonly registry: Registry;
  /** This process's service token, asked for before each call; without it calls go out without one. */
  readonly token?: (() => Promise<string>) | undefined;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  /** Given: every connection is TLS. */
  readonly tls?: ChannelTls | undefined;
  readonly messages?: Partial<EndpointMessages>;
  readonly ejection?: Partial<Ejection>;
  readonly retry?: Partial<RetryPolicy>;
  readonly timing?: Partial<ChannelTiming>;
}

export interface ChannelTiming extends EndpointTiming {
  /** How long a call waits where no instance is known: the service may be just starting. Default 2,000. */
  readonly waitForInstanceMs: number;
}

export interface ChannelEndpoint extends EndpointStatus {
  /** What is spoken to it: gRPC over HTTP/2, or Connect over HTTP/1.1 where that was refused. */
  readonly protocol: "grpc" | "connect";
}

export interface Channel extends Transport, AsyncDisposable {
  /** Undefined: there is an instance to call. Otherwise what is missing, for readiness. */
  problem(): string | undefined;
  endpoints(): readonly ChannelEndpoint[];
}

interface BegunCall {
  readonly method: DescMethod;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly header: HeadersInit | undefined;
  readonly repeatable: boolean;
  readonly resendable: () => boolean;
}

interface Begun {
  readonly attempts: Attempts;
  readonly header: Headers;
}

interface CallPolicy {
  readonly repeatable: boolean;
  readonly timeoutMs: number | undefined;
}

export function openChannel(options: ChannelOptions): Channel {
  const { log, messages, now, random, registry, service, tls, timing = {} } = options;
  const balancer = createBalancer({ now, random, ...(options.ejection && { ejection: options.ejection }) });
  const budget = createRetryBudget();
  const policies = new Map<DescMethod, CallPolicy>();
  const endpoints = new Map<string, Endpoint>();
  /** Of instances that left, with calls still under way. */
  const retired = new Set<Endpoint>();
  const watch = registry.watchInstances(service);
  let change = Promise.withResolvers<void>();

  const update = () => {
    const instances = watch.current();
    const addresses = new Map(instances.map(({ instanceId, address }) => [instanceId, address]));
    for (const [id, endpoint] of endpoints) {
      // One that registers again elsewhere is another one.
      if (addresses.get(id) === endpoint.instance.address) continue;
      endpoints.delete(id);
      retired.add(endpoint);
      endpoint.close().then(() => retired.delete(endpoint));
    }
    balancer.update(instances);
    change.resolve();
    change = Promise.withResolvers();
  };
  const unsubscribe = watch.subscribe(update);
  update();

  const endpointOf = ({ instance }: Picked): Endpoint => {
    const known = endpoints.get(instance.instanceId);
    if (known) return known;
    const opened = openEndpoint(instance, { log, now, tls, messages, timing });
    endpoints.set(instance.instanceId, opened);
    return opened;
  };
  const policyOf = (method: DescMethod): CallPolicy => {
    const known = policies.get(method);
    if (known) return known;
    const policy = callPolicy(method);
    policies.set(method, policy);
    return policy;
  };
  const begin = async (call: BegunCall): Promise<Begun> => {
    const { method, repeatable, resendable, signal } = call;
    const deadline = createDeadline(now, call.timeoutMs ?? policyOf(method).timeoutMs, signal);
    const header = new Headers(call.header);
    if (options.token) header.set(SERVICE_TOKEN, await deadline.within(options.token()).catch(asConnectError));
    const attempts = createAttempts({
      service,
      rpcService: method.parent.typeName,
      call: { bidi: method.methodKind === "bidi_streaming", repeatable, resendable },
      stream: method.methodKind !== "unary",
      balancer,
      endpointOf,
      changed: () => change.promise,
      waitForInstanceMs: timing.waitForInstanceMs ?? 2_000,
      deadline,
      retry: createRetry({ repeatable, budget, now, random, ...(options.retry && { policy: options.retry }) }),
      budget,
    });
    return { attempts, header };
  };

  return {
    async unary(method, signal, timeoutMs, given, message, contextValues) {
      const repeatable = isRepeatable(policyOf(method), method.input, message);
      const { attempts, header } = await begin({
        method,
        signal,
        timeoutMs,
        header: given,
        repeatable,
        resendable: () => true,
      });
      const attempt = await attempts.next((transport, remainingMs) =>
        transport.unary(method, signal, remainingMs, header, message, contextValues),
      );
      attempt.succeeded();
      return attempt.answer;
    },
    async stream(method, signal, timeoutMs, given, input, contextValues) {
      const { repeatable } = policyOf(method);
      const { messages, resendable, end } = await openStreamRequest(method.methodKind, input);
      const call = { method, signal, timeoutMs, header: given, repeatable, resendable };
      const { attempts, header } = await begin(call).catch((error) => {
        end(error);
        throw error;
      });
      const open = () =>
        attempts.next((transport, remainingMs) =>
          transport.stream(method, signal, remainingMs, header, messages(), contextValues),
        );
      return streamMessages(open, signal, end);
    },
    problem() {
      const known = balancer.endpoints();
      if (known.length === 0) return `no instance of ${service} is known`;
      return known.some((endpoint) => endpoint.available) ? undefined : `every instance of ${service} fails`;
    },
    endpoints: () =>
      balancer.endpoints().map((status) => ({
        ...status,
        protocol: endpoints.get(status.instance.instanceId)?.protocol() ?? "grpc",
      })),
    async [Symbol.asyncDispose]() {
      unsubscribe();
      watch[Symbol.dispose]();
      balancer.update([]);
      for (const endpoint of [...endpoints.values(), ...retired]) endpoint.destroy();
      endpoints.clear();
    },
  };
}

function asConnectError(error: unknown): never {
  throw error instanceof AppError ? fromAppError(error) : error;
}

/** Methods of other people's contracts have no policy of ours. */
function callPolicy(method: DescMethod): CallPolicy {
  try {
    return resolvePolicy(method);
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    return {
      repeatable: method.idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN,
      timeoutMs: method.methodKind === "unary" ? DEFAULT_TIMEOUT_MS : undefined,
    };
  }
}
