/** Ids: UUIDs of version 7 (RFC 9562), so that new rows sit together in an index and sort by the time they were made. */
import { v7, validate } from "uuid";

export function newId(): string {
  return v7();
}

/** Whether a text is a UUID in its canonical form, in either letter case. */
export function isId(text: string): boolean {
  return validate(text);
}
