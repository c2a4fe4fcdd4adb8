/** What the stages of one call share while they make it: the Call that handlers see, still open, and where it stands. */
import type { ContextValues, HandlerContext } from "@connectrpc/connect";
import { CLIENT_ADDRESS, FORWARDED, REQUEST_ID, TRACEPARENT } from "@switchboard/contract/headers";
import type { MethodPolicy } from "@switchboard/contract/policy";
import { ANONYMOUS, actorOf, type Principal, type ServicePrincipal } from "@switchboard/contract/principal";
import { requestIdFrom } from "@switchboard/contract/request-id";
import { childOf, parseTraceparent } from "@switchboard/contract/trace-context";
import { type Call, callOf } from "../call.ts";

export interface RunningCall extends Call {
  actor: string;
  principal: Principal;
  callingService: string | undefined;
  accessToken: string | undefined;
  clientAddress: string;
  /** Whether the gateway passes it on from outside. */
  readonly forwarded: boolean;
  /** `performance.now()` at its beginning. */
  readonly startedAt: number;
  /** "receiving" until the interceptors take it over; "ended" when its outcome has been reported. */
  phase: "receiving" | "running" | "ended";
}

/** The call that a request begins, of nobody yet. */
export function beginCall(header: Headers, policy: MethodPolicy): RunningCall {
  return {
    policy,
    actor: actorOf(ANONYMOUS),
    principal: ANONYMOUS,
    callingService: undefined,
    accessToken: undefined,
    clientAddress: "",
    trace: childOf(parseTraceparent(header.get(TRACEPARENT))),
    requestId: requestIdFrom(header.get(REQUEST_ID)),
    audited: false,
    object: "",
    // Believed from anybody: it only takes rights away.
    forwarded: header.has(FORWARDED),
    startedAt: performance.now(),
    phase: "receiving",
  };
}

/** What is believed only beside a valid service token. */
export function believe(call: RunningCall, peer: ServicePrincipal, header: Headers): void {
  call.callingService = peer.service;
  call.clientAddress = header.get(CLIENT_ADDRESS) ?? "";
}

export function runningCallOf(
  context: Pick<HandlerContext, "values"> | { readonly values: ContextValues },
): RunningCall {
  return callOf(context) as RunningCall;
}
