/** GetEvent. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { eventMessage } from "../store/entry-bytes.ts";
import { getEntry } from "../store/read.ts";

const fields = z.object({ eventId: z.guid("must be a UUID").toLowerCase() });

export function getEvent({ database }: ServiceDeps): MethodImpl<typeof AuditService.method.getEvent> {
  return async (request) => {
    const { eventId } = check(fields, request);
    return { event: eventMessage(await getEntry(database.queries, eventId)) };
  };
}
