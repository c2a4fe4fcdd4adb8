/** The revision that an answer was made from, as callers carry it. */
import type { Queries } from "@switchboard/kernel/database/database";
import { currentRevision } from "../store/relationships.ts";

export function tokenOf(revision: bigint): string {
  return `r${revision}`;
}

/** Read before the answer is made, so that it never claims more than the answer has seen. */
export async function consistencyToken(queries: Queries): Promise<string> {
  return tokenOf(await currentRevision(queries));
}
