/** Pages of a list of ids that is computed whole and in order: a page goes on after the last id of the one before. */
import type { HandlerContext } from "@connectrpc/connect";
import { decodePageToken, encodePageToken, pageSizeOf } from "@switchboard/contract/page-token";
import { callOf } from "@switchboard/kernel/rpc/call";
import { z } from "zod";

export const PAGE_SIZES = { default: 100, max: 1_000 };
const cursor = z.tuple([z.string()]);

export async function idPage(
  context: HandlerContext,
  request: { readonly pageSize: number; readonly pageToken: string },
  query: Readonly<Record<string, string>>,
  now: number,
  list: () => Promise<readonly string[]>,
): Promise<{ readonly ids: readonly string[]; readonly nextPageToken: string }> {
  const page = { list: callOf(context).policy.name, query, now };
  const last = decodePageToken({ ...page, token: request.pageToken, cursor })?.[0];
  const size = pageSizeOf(request.pageSize, PAGE_SIZES);
  const all = await list();
  const rest = last === undefined ? all : all.filter((id) => id > last);
  const ids = rest.slice(0, size);
  const end = rest.length > size ? ids.at(-1) : undefined;
  return { ids, nextPageToken: end === undefined ? "" : encodePageToken({ ...page, cursor: [end] }) };
}
