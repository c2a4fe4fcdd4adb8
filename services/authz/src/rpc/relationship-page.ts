/** Pages of stored relationships, in the order of their columns. */
import type { HandlerContext } from "@connectrpc/connect";
import { decodePageToken, encodePageToken, pageSizeOf } from "@switchboard/contract/page-token";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { SQL } from "drizzle-orm";
import { z } from "zod";
import type { Relationship } from "../rules/reference.ts";
import { type RelationshipRow, rowOf } from "../store/relationship-table.ts";
import { findRelationships } from "../store/relationships.ts";
import type { AuthzDeps } from "./deps.ts";
import { PAGE_SIZES } from "./id-pages.ts";

const text = z.string();
const cursor = z.tuple([text, text, text, text, text, text]);

export async function relationshipPage(
  deps: AuthzDeps,
  context: HandlerContext,
  request: { readonly pageSize: number; readonly pageToken: string },
  matching: Partial<RelationshipRow>,
  conditions: readonly SQL[] = [],
): Promise<{ readonly found: readonly Relationship[]; readonly nextPageToken: string }> {
  const page = { list: callOf(context).policy.name, query: { ...matching }, now: deps.now() };
  const last = decodePageToken({ ...page, token: request.pageToken, cursor });
  const size = pageSizeOf(request.pageSize, PAGE_SIZES);
  const after = last && {
    objectType: last[0],
    objectId: last[1],
    relation: last[2],
    subjectType: last[3],
    subjectId: last[4],
    subjectRelation: last[5],
  };
  const rows = await findRelationships(deps.database.queries, matching, { after, limit: size + 1 }, conditions);
  const found = rows.slice(0, size);
  const end = rows.length > size ? found.at(-1) : undefined;
  return {
    found,
    nextPageToken: end === undefined ? "" : encodePageToken({ ...page, cursor: Object.values(rowOf(end)) }),
  };
}
