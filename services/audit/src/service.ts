/** Audit: what happened, append-only and verifiable. */
import { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { type PlatformDeps, rpc, type Service } from "@switchboard/kernel/service";
import { appendEvents } from "./events/append-events.ts";
import { AppendSignal } from "./events/append-signal.ts";
import { getEvent } from "./rpc/get-event.ts";
import { listEvents } from "./rpc/list-events.ts";
import { verifyLog } from "./rpc/verify-log.ts";
import { watchEvents } from "./rpc/watch-events.ts";

export function createAuditService(deps: PlatformDeps): Service {
  return {
    name: "audit",
    rpcs: [
      rpc(AuditService, {
        listEvents: listEvents(deps),
        getEvent: getEvent(deps),
        watchEvents: watchEvents(deps, new AppendSignal(deps.database.sql)),
        verifyLog: verifyLog(deps),
      }),
    ],
    async start() {
      const subscription = await appendEvents(deps.bus, deps.database);
      return { [Symbol.asyncDispose]: () => subscription.end() };
    },
  };
}
