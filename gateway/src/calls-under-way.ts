/** The calls that this gateway has under way: counted, ended in a drain, and ended when the credential behind them is revoked. */
import type { AppError } from "@switchboard/contract/app-error";
import type { GatewayCall } from "./gateway-call.ts";

export interface CallsUnderWay {
  readonly size: number;
  /** From now until its exchange closes. */
  add(call: GatewayCall): void;
  /** Ends the streams among them for which it is asked. */
  endStreams(error: () => AppError, which?: (call: GatewayCall) => boolean): void;
}

export function createCallsUnderWay(): CallsUnderWay {
  const calls = new Set<GatewayCall>();
  return {
    get size() {
      return calls.size;
    },
    add(call) {
      calls.add(call);
      call.exchange.onClosed(() => calls.delete(call));
    },
    endStreams(error, which = () => true) {
      for (const call of calls) if (!call.unary && which(call)) call.end(error());
    },
  };
}
