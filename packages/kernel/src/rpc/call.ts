/** What the interceptors found out about the call under way. A handler reads it with `callOf(context)`. */
import { type ContextKey, type ContextValues, createContextKey } from "@connectrpc/connect";
import type { MethodPolicy } from "@switchboard/contract/policy";
import type { Principal } from "@switchboard/contract/principal";
import type { TraceContext } from "@switchboard/contract/trace-context";
import type { Origin } from "../database/database.ts";

export interface Call extends Origin {
  readonly policy: MethodPolicy;
  /** The user or, where a service calls for itself, the service. */
  readonly principal: Principal;
  /** The service that made the call: "gateway". Undefined only on methods that are served without a service token. */
  readonly callingService: string | undefined;
  /** The user's access token as it came, to travel on beside this service's own token; undefined: none came. */
  readonly accessToken: string | undefined;
  readonly trace: TraceContext;
  readonly requestId: string;
  /** The client's address as the gateway saw it. Empty: the call began inside. */
  readonly clientAddress: string;
  /** Set where the handler's own transaction wrote the audit entry, so that none is added after it. */
  audited: boolean;
  /** What it is done to, as `type:id`, for the audit log; from the policy, or set by the handler. */
  object: string;
}

export const callKey: ContextKey<Call | undefined> = createContextKey<Call | undefined>(undefined, {
  description: "the call under way",
});

/** @throws Error where the handler runs outside of the kernel's server. */
export function callOf(context: { readonly values: ContextValues }): Call {
  const call = context.values.get(callKey);
  if (call === undefined)
    throw new Error("no call in this context: the handler runs without the kernel's interceptors");
  return call;
}

/** The caller's own user id; undefined where a service or nobody calls. */
export function userIdOf(call: Call): string | undefined {
  return call.principal.kind === "user" ? call.principal.userId : undefined;
}
