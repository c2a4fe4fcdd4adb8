/** Who of a type holds a permission on an object, groups resolved: all of them, or whether there is anybody. */
import { walkForward } from "./forward-walk.ts";
import type { Graph } from "./graph.ts";
import { type Limits, tooMany } from "./limits.ts";
import type { Model } from "./model.ts";
import type { ObjectRef } from "./reference.ts";

export interface SubjectsQuery {
  readonly object: ObjectRef;
  readonly permission: string;
  readonly subjectType: string;
}

/** Their ids in ascending order: complete. @throws AppError GRAPH_TOO_DEEP */
export async function listSubjects(
  model: Model,
  graph: Graph,
  query: SubjectsQuery,
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

/** Ends at the first. @throws AppError GRAPH_TOO_DEEP where the limits end the search before anybody was found */
export async function hasSubject(model: Model, graph: Graph, query: SubjectsQuery, limits: Limits): Promise<boolean> {
  let found = false;
  await walkForward(model, graph, { ...query.object, name: query.permission }, limits, {
    wanted: { type: query.subjectType },
    found() {
      found = true;
      return true;
    },
  });
  return found;
}
