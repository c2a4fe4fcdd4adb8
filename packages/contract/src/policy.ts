/**
 * The policy of a method, resolved: its own options, then its service's defaults, then the platform's. Everybody who
 * obeys a contract (gateway stages, interceptors, channel, audit) reads it from here.
 */
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import {
  Access,
  Audit,
  type MethodPolicy as MethodOption,
  method as methodOption,
  type RateLimit,
  RateLimitKey,
  service as serviceOption,
} from "@switchboard/gen/switchboard/policy/v1/policy_pb";

export interface MethodPolicy {
  /** "switchboard.identity.v1.IdentityService/GetUser": as in a path, without the leading slash. */
  readonly name: string;
  readonly access: "public" | "authenticated" | "internal";
  readonly permission: PermissionPolicy | undefined;
  readonly rateLimit: RateLimitPolicy | undefined;
  /** Undefined: none (streams). */
  readonly timeoutMs: number | undefined;
  readonly maxRequestBytes: number;
  readonly audit: "none" | "write" | "read";
  /** Whether repeating the call does no harm (`idempotency_level`). */
  readonly repeatable: boolean;
  /** Whether it changes nothing, so that GET may carry it. */
  readonly sideEffectFree: boolean;
  readonly withoutServiceToken: boolean;
}

export interface PermissionPolicy {
  readonly permission: string;
  /** As written: "user:{user_id}". */
  readonly object: string;
  /** Path of the request field that fills the braces, in proto names; undefined: the object is fixed. */
  readonly field: readonly string[] | undefined;
}

export interface RateLimitPolicy {
  readonly requests: number;
  readonly windowMs: number;
  readonly burst: number;
  readonly key: "address" | "user" | "api_key";
}

export const DEFAULT_TIMEOUT_MS = 15_000;
export const DEFAULT_MAX_REQUEST_BYTES = 1024 * 1024;

/** What is missing or contradicts itself in a method's options. */
export class PolicyFault extends Error {
  override readonly name = "PolicyFault";
  readonly method: DescMethod;

  constructor(method: DescMethod, problem: string) {
    super(`${method.parent.typeName}/${method.name}: ${problem}`);
    this.method = method;
  }
}

/** What a contract of somebody else, which has no policies, is to be taken for; undefined: it does not know the method. */
export type PolicyOverlay = (method: DescMethod) => MethodOption | undefined;

/**
 * The policy of a method. An overlay speaks only where the contract says nothing.
 * @throws PolicyFault where a decision is left open or contradicts itself.
 */
export function resolvePolicy(method: DescMethod, overlay?: PolicyOverlay): MethodPolicy {
  const own = hasOption(method, methodOption) ? getOption(method, methodOption) : overlay?.(method);
  if (own === undefined) {
    throw new PolicyFault(method, "has no policy; give it the option (switchboard.policy.v1.method)");
  }
  const defaults = getOption(method.parent, serviceOption);
  const access = accessNames[own.access];
  if (access === undefined) throw new PolicyFault(method, "does not say who may call it; set `access`");
  const permission = own.permission && resolvePermission(method, own.permission);
  if (permission && access === "public") throw new PolicyFault(method, "is PUBLIC and asks for a permission");
  if (own.rateLimit && access === "internal") throw new PolicyFault(method, "is INTERNAL and has a rate limit");
  const limit = own.rateLimit ?? (access === "internal" ? undefined : defaults.rateLimit);
  const unary = method.methodKind === "unary";
  return Object.freeze({
    name: `${method.parent.typeName}/${method.name}`,
    access,
    permission,
    rateLimit: limit && resolveRateLimit(method, limit),
    // Zero: none, for unary calls too.
    timeoutMs:
      (milliseconds(own.timeout) ?? (unary ? (milliseconds(defaults.timeout) ?? DEFAULT_TIMEOUT_MS) : 0)) || undefined,
    maxRequestBytes: own.maxRequestBytes || defaults.maxRequestBytes || DEFAULT_MAX_REQUEST_BYTES,
    audit: own.audit === Audit.WRITE ? "write" : own.audit === Audit.READ ? "read" : "none",
    repeatable: method.idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN,
    sideEffectFree: method.idempotency === Idempotency.NO_SIDE_EFFECTS,
    withoutServiceToken: own.withoutServiceToken,
  });
}

const accessNames: Readonly<Record<number, MethodPolicy["access"]>> = {
  [Access.PUBLIC]: "public",
  [Access.AUTHENTICATED]: "authenticated",
  [Access.INTERNAL]: "internal",
};

/** `type:id`, or `type:{path.of.a_field}`. */
const objectTemplate = /^[a-z][a-z0-9_]*:(?:[A-Za-z0-9._~@+-]{1,128}|\{([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)\})$/;

function resolvePermission(method: DescMethod, own: { permission: string; object: string }): PermissionPolicy {
  const match = objectTemplate.exec(own.object);
  if (own.permission === "" || match === null) {
    throw new PolicyFault(method, `has a permission without a name, or a malformed object "${own.object}"`);
  }
  const field = match[1]?.split(".");
  if (field) requireStringField(method, field);
  return { permission: own.permission, object: own.object, field };
}

function requireStringField(method: DescMethod, path: readonly string[]): void {
  let message = method.input;
  for (const [depth, name] of path.entries()) {
    const field = message.fields.find((candidate) => candidate.name === name);
    const last = depth === path.length - 1;
    if (last && field?.fieldKind === "scalar" && field.scalar === 9) return;
    if (last || field?.fieldKind !== "message") break;
    message = field.message;
  }
  throw new PolicyFault(method, `takes its object from "${path.join(".")}", which is no string field of its request`);
}

function resolveRateLimit(
  method: DescMethod,
  limit: Pick<RateLimit, "requests" | "burst" | "key" | "window">,
): RateLimitPolicy {
  const windowMs = milliseconds(limit.window) ?? 0;
  if (limit.requests < 1 || windowMs < 1) {
    throw new PolicyFault(method, "has a rate limit without requests or without a window");
  }
  const key = limit.key === RateLimitKey.ADDRESS ? "address" : limit.key === RateLimitKey.API_KEY ? "api_key" : "user";
  return { requests: limit.requests, windowMs, burst: limit.burst || limit.requests, key };
}

function milliseconds(duration: { seconds: bigint; nanos: number } | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1000 + Math.ceil(duration.nanos / 1e6);
}
