/** WatchEvents. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import type { AppendSignal } from "../events/append-signal.ts";
import { eventMessage } from "../store/entry-bytes.ts";
import { eventConditions } from "../store/event-filter.ts";
import { listForwards, logSize } from "../store/read.ts";

const fields = z.object({ afterSequence: z.bigint().min(0n, "must be 0 or more").optional() });

/** Entries read at once. */
const BATCH = 200;

export function watchEvents(
  { database: { queries } }: ServiceDeps,
  appended: AppendSignal,
): MethodImpl<typeof AuditService.method.watchEvents> {
  return async function* (request, { signal }) {
    const { afterSequence } = check(fields, request);
    const conditions = eventConditions(request.filter);
    let seen = afterSequence === undefined ? await logSize(queries) : Number(afterSequence);
    while (!signal.aborted) {
      const mark = appended.mark();
      // Entries become visible in the order of their sequences, so nothing can still come below the size.
      const upTo = await logSize(queries);
      while (seen < upTo) {
        const batch = await listForwards(queries, conditions, { after: seen, upTo, limit: BATCH });
        for (const entry of batch) yield { event: eventMessage(entry) };
        seen = batch.length === BATCH ? (batch.at(-1)?.sequence ?? upTo) : upTo;
      }
      await appended.after(mark, signal);
    }
    // The client went away, or the process is stopping: the reason says which.
    throw signal.reason;
  };
}
