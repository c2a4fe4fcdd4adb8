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
  const { bus, database, log } = deps;
  const appended = new AppendSignal();
  return {
    name: "audit",
    rpcs: [
      rpc(AuditService, {
        listEvents: listEvents(deps),
        getEvent: getEvent(deps),
        watchEvents: watchEvents(deps, appended),
        verifyLog: verifyLog(deps),
      }),
    ],
    async start() {
      await using stack = new AsyncDisposableStack();
      stack.use(appended.listen(database, log));
      const subscription = await appendEvents(bus, database);
      stack.defer(() => subscription.end());
      return stack.move();
    },
  };
}
