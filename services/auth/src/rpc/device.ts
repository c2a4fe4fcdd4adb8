/** What a session remembers of where it was opened. */
import type { HandlerContext } from "@connectrpc/connect";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { Device } from "../credentials/sessions.ts";

const USER_AGENT_MAX_LENGTH = 256;

export function deviceOf(context: HandlerContext): Device {
  const userAgent = context.requestHeader.get("user-agent") ?? "";
  return { userAgent: userAgent.slice(0, USER_AGENT_MAX_LENGTH), address: callOf(context).clientAddress };
}
