/** All objects of a type on which a subject holds a permission: a walk from the subject backwards. */
import { BackwardWalk } from "./backward-walk.ts";
import type { Graph } from "./graph.ts";
import { type Limits, tooDeep, tooMany } from "./limits.ts";
import type { Model } from "./model.ts";
import type { ObjectRef } from "./reference.ts";
import { reverse } from "./reversed-model.ts";

export interface ObjectList {
  /** Ids of those that stand in a relationship, in ascending order: complete. */
  readonly ids: readonly string[];
  /** Whether every other object of the type is meant too, those included that stand in no relationship. */
  readonly all: boolean;
}

/** @throws AppError GRAPH_TOO_DEEP */
export async function listObjects(
  model: Model,
  graph: Graph,
  query: { readonly subject: ObjectRef; readonly permission: string; readonly objectType: string },
  limits: Limits,
): Promise<ObjectList> {
  const target = { type: query.objectType, name: query.permission };
  const walk = new BackwardWalk(model, reverse(model, target), query.subject, limits);
  for (let depth = 0; ; depth++) {
    const read = walk.takeRead();
    if (read === undefined) break;
    if (depth === limits.depth) throw tooDeep(limits);
    const room = limits.nodes - walk.size;
    const rows = await graph.backward(read, room);
    if (rows.length > room) throw tooMany(limits);
    for (const row of rows) walk.follow(row);
  }
  const all = walk.isHeldOnEvery(target);
  const ids = new Set(walk.idsOf(target));
  if (all) {
    const known = await graph.objectsOf(target.type, limits.nodes);
    if (known.length > limits.nodes) throw tooMany(limits);
    for (const id of known) ids.add(id);
  }
  return { ids: [...ids].sort(), all };
}
