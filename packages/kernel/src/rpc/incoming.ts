/**
 * The body of a request, bounded by the call that it belongs to: connect-es gives a call its deadline, and then waits for
 * the body without looking at it.
 */
import type { IncomingMessage } from "node:http";
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
  // Node would destroy the connection with a body that is read in part.
  const source = (request as IncomingMessage).iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  const body: Body & AsyncIterable<Uint8Array> = {
    signal: call.signal,
    [Symbol.asyncIterator]() {
      if (waitsForContinue(request)) response.writeContinue();
      return eachUntilAborted(body.signal, source);
    },
  };
  contextValues.set(bodyKey, body);
  return { ...call, body };
}

/** Over HTTP/1.1; for HTTP/2 Node answers at once (RFC 9110, section 10.1.1). */
function waitsForContinue({ headers, httpVersion }: Request): boolean {
  return httpVersion === "1.1" && headers.expect?.toLowerCase() === "100-continue";
}

/** From here on the call's own signal ends the reading of its body. */
export function boundBody({ signal, values }: HandlerContext): void {
  const body = values.get(bodyKey);
  if (body !== undefined) body.signal = signal;
}
