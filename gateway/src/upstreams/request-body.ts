/**
 * The body of a request on its way to an instance: counted, limited, and kept up to a bound, so that it can be sent again
 * to another instance until an answer begins.
 */
import type { ClientHttp2Stream } from "node:http2";
import { AppError } from "@switchboard/contract/app-error";
import { EnvelopeScanner } from "@switchboard/wire/envelope-scanner";
import { bodyFault } from "../exchange/body-fault.ts";
import type { GatewayCall } from "../gateway-call.ts";

/** What is kept of a body for a second attempt. */
const MAX_KEPT_BYTES = 64 * 1024;

export interface RequestBody {
  /** Whether it can still be sent from its beginning. */
  resendable(): boolean;
  /** Sends what is kept, then what comes. */
  sendTo(stream: ClientHttp2Stream): void;
  /** Stops sending; what comes meanwhile waits. */
  detach(): void;
  /** An answer has begun: nothing will be sent again. */
  forget(): void;
}

export interface RequestBodyEvents {
  /** It is larger than the method takes. */
  readonly onTooLarge: (error: AppError) => void;
  /** It ended before it was complete, or is malformed. */
  readonly onUnusable: (error: AppError) => void;
}

export function createRequestBody(call: GatewayCall, { onTooLarge, onUnusable }: RequestBodyEvents): RequestBody {
  const { exchange, protocol, route } = call;
  const { body } = exchange;
  const maxBytes = route.policy.maxRequestBytes;
  const scanner = protocol.enveloped ? new EnvelopeScanner() : undefined;
  let kept: Buffer[] | undefined = [];
  let bytes = 0;
  let ended = !exchange.hasBody;
  let target: ClientHttp2Stream | undefined;
  let listening = false;

  const tooLarge = (chunk: Buffer): boolean => {
    bytes += chunk.length;
    if (scanner === undefined) return bytes > maxBytes;
    scanner.push(chunk);
    return scanner.longest > maxBytes;
  };
  const take = (chunk: Buffer) => {
    if (tooLarge(chunk)) {
      body.off("data", take).off("end", finish).resume();
      onTooLarge(
        new AppError("REQUEST_TOO_LARGE", `the request is larger than the ${maxBytes} bytes that this method takes`),
      );
      return;
    }
    if (kept && bytes <= MAX_KEPT_BYTES) kept.push(chunk);
    else kept = undefined;
    if (target && !target.destroyed && !target.write(chunk)) body.pause();
  };
  const finish = () => {
    const fault = bodyFault(exchange);
    if (fault) return onUnusable(fault);
    ended = true;
    target?.end();
  };

  return {
    resendable: () => kept !== undefined,
    sendTo(stream) {
      target = stream;
      let flowing = true;
      for (const chunk of kept ?? []) flowing = stream.write(chunk);
      if (ended) {
        if (exchange.hasBody) stream.end();
        return;
      }
      stream.on("drain", () => {
        if (target === stream) body.resume();
      });
      if (!listening) {
        listening = true;
        // Node ends an empty body of HTTP/2 without waiting for somebody to listen.
        if (body.readableEnded) return finish();
        body.on("data", take).once("end", finish);
      }
      if (flowing) body.resume();
      else body.pause();
    },
    detach() {
      target = undefined;
      // The rest of a call that was refused is on its way to nowhere, and is read so that the connection can go on.
      if (!call.ended) body.pause();
    },
    forget() {
      kept = undefined;
    },
  };
}
