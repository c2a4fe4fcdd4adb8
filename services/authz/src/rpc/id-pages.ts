/** Pages of a list of ids that is computed whole and in order: a page goes on after the last id of the one before. */
import type { HandlerContext } from "@connectrpc/connect";
import { decodePageToken, encodePageToken, type PageOf, pageSizeOf } from "@switchboard/contract/page-token";
import { callOf } from "@switchboard/kernel/rpc/call";
import { z } from "zod";

export const PAGE_SIZES = { default: 100, max: 1_000 };
const cursor = z.tuple([z.string()]);

export interface IdPage {
  readonly of: PageOf;
  readonly size: number;
  /** The id that the page begins after; undefined: the first page. */
  readonly after: string | undefined;
}

/** The page that a request asks for. @throws AppError INVALID_PAGE_TOKEN, INVALID_FIELD */
export function pageOf(
  context: HandlerContext,
  request: { readonly pageSize: number; readonly pageToken: string },
  query: Readonly<Record<string, string>>,
  now: number,
): IdPage {
  const of = { list: callOf(context).policy.name, query, now };
  const [after] = decodePageToken({ ...of, token: request.pageToken, cursor }) ?? [];
  return { of, size: pageSizeOf(request.pageSize, PAGE_SIZES), after };
}

export function idPage({ of, size, after }: IdPage, all: readonly string[]) {
  const rest = after === undefined ? all : all.filter((id) => id > after);
  const ids = rest.slice(0, size);
  const end = rest.length > size ? ids.at(-1) : undefined;
  return { ids, nextPageToken: end === undefined ? "" : encodePageToken({ ...of, cursor: [end] }) };
}
