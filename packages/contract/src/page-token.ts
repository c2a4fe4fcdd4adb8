/**
 * Pages of a list (AIP-158): sizes, and tokens that say where the next page begins. A token is bound to the list that
 * gave it and to everything that shapes the list (filter, order), and lives for a day. It is not sealed: it may only
 * hold what its owner could ask for anyway, so the cursor's shape is checked and nothing else is believed.
 */
import { z } from "zod";
import { AppError } from "./app-error.ts";
import { fingerprint } from "./fingerprint.ts";

/** How long a page token can be used, in milliseconds. */
export const PAGE_TOKEN_TTL_MS = 24 * 60 * 60_000;

/** No list makes a longer one. */
const MAX_TOKEN_LENGTH = 4096;

/** When it was made, then the cursor. */
const bodyShape = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue("not JSON");
      return z.NEVER;
    }
  })
  .pipe(z.tuple([z.number()], z.unknown()));

export interface PageOf {
  /** The list's method: "switchboard.identity.v1.IdentityService/ListUsers". */
  readonly list: string;
  /** Everything else that the list depends on, in any order of keys: `{filter, show_deleted}`. */
  readonly query: Readonly<Record<string, string | number | boolean>>;
  /** Unix milliseconds. */
  readonly now: number;
}

/** A token for the page that begins after `cursor`, the sort key of the last item given. */
export function encodePageToken(page: PageOf & { readonly cursor: readonly (string | number)[] }): string {
  const body = JSON.stringify([page.now, ...page.cursor]);
  return toBase64Url(`${bindingOf(page, body)}${body}`);
}

/**
 * The cursor that a token holds; undefined for an empty token: the first page.
 * @throws AppError INVALID_PAGE_TOKEN where it is damaged, older than a day, of another list or of another query, or
 * where its cursor does not have the shape of `page.cursor`.
 */
export function decodePageToken<Cursor>(
  page: PageOf & { readonly token: string; readonly cursor: z.ZodType<Cursor> },
): Cursor | undefined {
  if (page.token === "") return undefined;
  const text = page.token.length > MAX_TOKEN_LENGTH ? undefined : fromBase64Url(page.token);
  if (text === undefined) throw invalid("is damaged");
  const body = text.slice(8);
  if (text.slice(0, 8) !== bindingOf(page, body))
    throw invalid("belongs to another list, filter or order, or is damaged");
  const parts = bodyShape.safeParse(body);
  if (!parts.success) throw invalid("is damaged");
  const [madeAt, ...cursor] = parts.data;
  if (page.now - madeAt > PAGE_TOKEN_TTL_MS) throw invalid("is older than a day");
  const parsed = page.cursor.safeParse(cursor);
  if (!parsed.success) throw invalid("is damaged");
  return parsed.data;
}

export interface PageSizes {
  /** What 0, the unset field, means. */
  readonly default: number;
  readonly max: number;
}

/**
 * How many items a page has: 0 is the default, more than the most is the most.
 * @throws AppError INVALID_FIELD for a negative size.
 */
export function pageSizeOf(requested: number, sizes: PageSizes): number {
  if (requested < 0) {
    const description = `must be 0 (for ${sizes.default}) to ${sizes.max}`;
    throw new AppError("INVALID_FIELD", `page_size ${description}`, {
      violations: [{ field: "page_size", description }],
    });
  }
  return requested === 0 ? sizes.default : Math.min(requested, sizes.max);
}

function bindingOf(page: PageOf, body: string): string {
  const query = Object.entries(page.query).sort(([a], [b]) => (a < b ? -1 : 1));
  return fingerprint(JSON.stringify([page.list, query, body]));
}

function invalid(problem: string): AppError {
  const description = `${problem}; leave it empty to begin again, with the filter and order you want`;
  return new AppError("INVALID_PAGE_TOKEN", `page_token ${description}`, {
    violations: [{ field: "page_token", description }],
  });
}

function toBase64Url(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64Url(token: string): string | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(token) || token.length % 4 === 1) return undefined;
  const binary = atob(token.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
