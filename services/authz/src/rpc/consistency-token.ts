/** The revision that an answer was made from, as callers carry it. */
import type { Queries } from "@switchboard/kernel/database/database";
import { currentRevision } from "../store/relationships.ts";

export function formatToken(revision: bigint): string {
  return `r${revision}`;
}

/** For an answer that was made from a revision or, undefined, from the model alone and so holds at every one. */
export async function tokenOf(queries: Queries, revision: bigint | undefined): Promise<string> {
  return formatToken(revision ?? (await currentRevision(queries)));
}
