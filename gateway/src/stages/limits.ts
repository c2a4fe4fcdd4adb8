/** Sizes that the headers tell, calls at once, and what a gateway that is stopping still takes. Bodies are counted as they pass. */
import { AppError } from "@switchboard/contract/app-error";
import { single } from "../gateway-call.ts";
import type { Stage } from "../pipeline.ts";

export interface LimitsOptions {
  /** Calls under way at once, over all connections. */
  readonly maxCalls: number;
  /** Bytes of all header names and values of a request. */
  readonly maxHeaderBytes: number;
  /** Calls under way, this one included. */
  readonly callsUnderWay: () => number;
  readonly draining: () => boolean;
}

export function limits({ callsUnderWay, draining, maxCalls, maxHeaderBytes }: LimitsOptions): Stage {
  return (call) => {
    const { exchange, protocol, route, unary } = call;
    if (draining() && !unary) throw drainingError();
    if (callsUnderWay() > maxCalls) {
      throw new AppError("OVERLOADED", "too many calls are under way here; repeat the call later", {
        retryAfterMs: 1_000,
      });
    }
    if (headerBytes(exchange.headers) + exchange.target.length > maxHeaderBytes) {
      call.refusalStatus = 431;
      throw new AppError("REQUEST_TOO_LARGE", `the headers are larger than ${maxHeaderBytes} bytes`);
    }
    const length = Number(single(exchange.headers["content-length"]) ?? 0);
    const { maxRequestBytes } = route.policy;
    if (!protocol.enveloped && length > maxRequestBytes) {
      throw new AppError(
        "REQUEST_TOO_LARGE",
        `the request is larger than the ${maxRequestBytes} bytes that this method takes`,
      );
    }
  };
}

export function drainingError(): AppError {
  return new AppError("DRAINING", "this gateway is stopping; repeat the call");
}

function headerBytes(headers: Readonly<Record<string, string | string[] | undefined>>): number {
  let bytes = 0;
  for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0);
  return bytes;
}
