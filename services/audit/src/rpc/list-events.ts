/** ListEvents. */
import type { MethodImpl } from "@connectrpc/connect";
import { decodePageToken, encodePageToken, pageSizeOf } from "@switchboard/contract/page-token";
import type { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { eventMessage } from "../store/entry-bytes.ts";
import { eventConditions } from "../store/event-filter.ts";
import { listBackwards } from "../store/read.ts";

const sizes = { default: 50, max: 1000 };
/** The sequence of the last entry given. */
const cursor = z.tuple([z.int()]);

export function listEvents({ database, now }: ServiceDeps): MethodImpl<typeof AuditService.method.listEvents> {
  return async ({ filter, pageSize, pageToken }, context) => {
    const page = { list: callOf(context).policy.name, query: { filter }, now: now() };
    const last = decodePageToken({ ...page, token: pageToken, cursor });
    const size = pageSizeOf(pageSize, sizes);
    // One more than asked for tells whether there is another page.
    const found = await listBackwards(database.queries, eventConditions(filter), last?.[0], size + 1);
    const shown = found.slice(0, size);
    const end = found.length > size ? shown.at(-1) : undefined;
    return {
      events: shown.map(eventMessage),
      nextPageToken: end ? encodePageToken({ ...page, cursor: [end.sequence] }) : "",
    };
  };
}
