/** All subjects of a type that hold a permission on an object, groups resolved. */
import { walkForward } from "./forward-walk.ts";
import type { Graph } from "./graph.ts";
import { type Limits, tooMany } from "./limits.ts";
import type { Model } from "./model.ts";
import type { ObjectRef } from "./reference.ts";

/** Their ids in ascending order: complete. @throws AppError GRAPH_TOO_DEEP */
export async function listSubjects(
  model: Model,
  graph: Graph,
  query: { readonly object: ObjectRef; readonly permission: string; readonly subjectType: string },
  limits: Limits,
): Promise<readonly string[]> {
  const ids = new Set<string>();
  await walkForward(model, graph, { ...query.object, name: query.permission }, limits, {
    wanted: { type: query.subjectType },
    found(subject) {
      ids.add(subject.id);
      if (ids.size > limits.nodes) throw tooMany(limits);
      return false;
    },
  });
  return [...ids].sort();
}
