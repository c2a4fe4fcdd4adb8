/** The id that names a call from the client's first try to the last log line: the one that came, or a new one. */
import { newId } from "./ids.ts";

/** What can stand in a header, an URL and a log line without being quoted: UUIDs, ULIDs, base64 of both kinds, paths, addresses. */
const form = /^[\w.~+/=:@-]{1,128}$/;

/** @param given from the header; missing, or in no form that is passed on: a new one is made. */
export function requestIdFrom(given: string | null | undefined): string {
  return given != null && form.test(given) ? given : newId();
}
