/**
 * Ends a call when its signal does: the deadline (capped by the policy before the call began), the caller's going away, or
 * a drain. The handler hears of it through the same signal; here nobody waits for a handler that does not listen.
 */
import type { Interceptor } from "@connectrpc/connect";
import { eachUntilAborted, untilAborted } from "../until-aborted.ts";

export const deadline: Interceptor = (next) => async (request) => {
  const { signal } = request;
  signal.throwIfAborted();
  const response = await untilAborted(signal, next(request));
  return response.stream ? { ...response, message: eachUntilAborted(signal, response.message) } : response;
};
