/** ListUsers. */
import type { MethodImpl } from "@connectrpc/connect";
import { decodePageToken, encodePageToken, pageSizeOf } from "@switchboard/contract/page-token";
import type { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { userConditions } from "../store/user-filter.ts";
import { listPeople } from "../store/users.ts";
import { userMessage } from "./user-message.ts";

const sizes = { default: 50, max: 1000 };
/** create_time in Unix milliseconds, and user_id. */
const cursor = z.tuple([z.int().min(0).max(8_640_000_000_000_000), z.guid()]);

export function listUsers({ database, now }: ServiceDeps): MethodImpl<typeof IdentityService.method.listUsers> {
  return async ({ filter, showDeleted, pageSize, pageToken }, context) => {
    const page = { list: callOf(context).policy.name, query: { filter, show_deleted: showDeleted }, now: now() };
    const last = decodePageToken({ ...page, token: pageToken, cursor });
    const size = pageSizeOf(pageSize, sizes);
    const found = await listPeople(database.queries, {
      conditions: userConditions(filter),
      showDeleted,
      after: last && { createTime: new Date(last[0]), userId: last[1] },
      // One more than asked for tells whether there is another page.
      limit: size + 1,
    });
    const people = found.slice(0, size);
    const end = found.length > size ? people.at(-1) : undefined;
    return {
      users: people.map(userMessage),
      nextPageToken: end ? encodePageToken({ ...page, cursor: [end.createTime.getTime(), end.userId] }) : "",
    };
  };
}
