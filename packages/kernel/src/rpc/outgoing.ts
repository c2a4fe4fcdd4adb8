/**
 * The options of a call that a handler, a consumer or a job makes: for whom, in which trace, and how long. This process's
 * own service token is not among them: the channel adds it.
 */
import type { CallOptions, HandlerContext } from "@connectrpc/connect";
import { REQUEST_ID, TRACEPARENT } from "@switchboard/contract/headers";
import { childOf, formatTraceparent, type TraceContext } from "@switchboard/contract/trace-context";
import { callOf } from "./call.ts";

/** For the caller of the call under way: with the user's access token, in the time that is left, until it is cancelled. */
export function onBehalfOf(context: HandlerContext): CallOptions {
  const { accessToken } = callOf(context);
  const options = asSelf(context);
  if (accessToken === undefined) return options;
  return { ...options, headers: { ...options.headers, authorization: `Bearer ${accessToken}` } };
}

/** For this service itself, because of the call under way: in its trace and its time, without its user. */
export function asSelf(context: HandlerContext): OutgoingOptions {
  const { requestId, trace } = callOf(context);
  const remainingMs = context.timeoutMs();
  return {
    headers: { [REQUEST_ID]: requestId, [TRACEPARENT]: formatTraceparent(childOf(trace)) },
    signal: context.signal,
    // At most 0 would mean: without a deadline.
    ...(remainingMs !== undefined && { timeoutMs: Math.max(1, remainingMs) }),
  };
}

/** For this service itself, because of an event or a job. Without a trace: the first call begins one. */
export function inTrace(trace: TraceContext | undefined): OutgoingOptions {
  return { headers: { [TRACEPARENT]: formatTraceparent(childOf(trace)) } };
}

/** CallOptions whose headers can be added to. */
export interface OutgoingOptions extends CallOptions {
  readonly headers: Readonly<Record<string, string>>;
}
