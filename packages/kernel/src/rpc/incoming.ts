/**
 * The body of a request, bounded by the call that it belongs to: connect-es gives a call its deadline, and then waits for
 * the body without looking at it.
 */
import { type ContextValues, createContextKey, createContextValues, type HandlerContext } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import type { Request, Response } from "./listener.ts";
import { eachUntilAborted } from "./until-aborted.ts";

interface Body {
  signal: AbortSignal;
}

const bodyKey = createContextKey<Body | undefined>(undefined, { description: "the request's body" });

/** What connect-es is given for a request. @throws where it says neither `host` nor `:authority`. */
export function incomingCall(request: Request, response: Response): UniversalServerRequest {
  const contextValues: ContextValues = createContextValues();
  const call = universalRequestFromNodeRequest(request, response, undefined, contextValues);
  const source = call.body as AsyncIterable<Uint8Array>;
  const body: Body & AsyncIterable<Uint8Array> = {
    signal: call.signal,
    [Symbol.asyncIterator]: () => eachUntilAborted(body.signal, source),
  };
  contextValues.set(bodyKey, body);
  return { ...call, body };
}

/** From here on the call's own signal ends the reading of its body. */
export function boundBody({ signal, values }: HandlerContext): void {
  const body = values.get(bodyKey);
  if (body !== undefined) body.signal = signal;
}
