/** Tells the audit log and the log of calls that the gateway did not pass on. */
import type { ReasonName } from "@switchboard/contract/app-error";
import { actorOf } from "@switchboard/contract/principal";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import type { CallRecord } from "@switchboard/kernel/audit/call-recorder";
import type { Logger } from "pino";
import type { GatewayCall } from "./gateway-call.ts";
import type { Route } from "./route-table.ts";

export interface Refusals {
  refused(call: GatewayCall, error: unknown, reason: ReasonName): void;
  /** A call from outside to a method that only services may call. */
  internal(call: GatewayCall, route: Route): void;
}

/** Codes that say: not signed in, not permitted. */
const denials = new Set(["unauthenticated", "permission_denied"]);
/** Codes that say: something is wrong here. */
const faults = new Set(["internal", "unavailable", "unknown"]);

export function createRefusals(log: Logger, recordCall: (record: CallRecord) => void): Refusals {
  const record = (call: GatewayCall, method: string, reason: ReasonName) =>
    recordCall({
      origin: { actor: actorOf(call.principal), trace: call.trace },
      method,
      object: "",
      outcome: Outcome.DENIED,
      reason,
    });
  return {
    refused(call, error, reason) {
      const { method, outcome, requestId, trace } = call;
      if (method !== undefined && (denials.has(outcome) || reason === "RATE_LIMITED")) record(call, method, reason);
      const line = { method, reason, requestId, trace_id: trace.traceId };
      if (faults.has(outcome)) log.warn({ ...line, err: error }, "a call was refused for a fault here");
      else log.debug(line, "a call was refused");
    },
    internal: (call, route) => record(call, route.policy.name, "UNKNOWN_METHOD"),
  };
}
