/**
 * Searches of one state of the graph. A search takes several statements, and a change may come between two of them: an
 * answer out of the halves of two states could be true in neither. Every statement tells its revision, so a search of one
 * statement costs nothing more; one that saw two revisions is thrown away and done again on a snapshot.
 */
import type { Database, Queries } from "@switchboard/kernel/database/database";
import { sql } from "drizzle-orm";
import type { Graph } from "../rules/graph.ts";
import { sqlGraph } from "./sql-graph.ts";

export interface Found<T> {
  readonly result: T;
  /** Undefined: the search read nothing that is stored. */
  readonly revision: bigint | undefined;
}

class GraphMoved extends Error {
  override readonly name = "GraphMoved";
}

const ORIGIN = { actor: "service:authz", trace: undefined };

/** Runs `search` once or twice: it must have no effect outside of itself. */
export async function inOneState<T>(database: Database, search: (graph: Graph) => Promise<T>): Promise<Found<T>> {
  try {
    return await watched(database.queries, search);
  } catch (error) {
    if (!(error instanceof GraphMoved)) throw error;
  }
  return await database.transaction(ORIGIN, async (tx) => {
    await tx.queries.execute(sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY`);
    return await watched(tx.queries, search);
  });
}

async function watched<T>(queries: Queries, search: (graph: Graph) => Promise<T>): Promise<Found<T>> {
  let revision: bigint | undefined;
  const graph = sqlGraph(queries, (seen) => {
    if (revision !== undefined && seen !== revision) throw new GraphMoved("the graph changed during a search");
    revision = seen;
  });
  return { result: await search(graph), revision };
}
