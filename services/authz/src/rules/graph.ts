/**
 * What the evaluator asks the stored relationships, a level of the search at a time. All answers of one graph are of one
 * state: SQL first (store/sql-graph.ts), the tests' in memory.
 */
import type { SubjectForm } from "./model.ts";
import type { ObjectRef, Relationship, SubjectRef } from "./reference.ts";

/** All who hold a relation or permission on an object: "note:n1#viewer". */
export interface SetRef extends ObjectRef {
  readonly name: string;
}

/** Which single subjects of a relation matter: one, or all of a type. Sets always do. */
export type Wanted = { readonly type: string; readonly id?: string };

export interface ForwardRead {
  /** Relations whose sets, and whose single subjects that are wanted, are read. */
  readonly members: readonly SetRef[];
  /** Relations whose single subjects are all read: the search goes on from them. */
  readonly pointers: readonly SetRef[];
  readonly wanted: Wanted;
}

export interface BackwardRead {
  /** Subjects whose relationships are read. */
  readonly subjects: readonly SubjectRef[];
  /** The same for every subject of a type, as a set (`relation`) or as itself (empty). */
  readonly every: readonly SubjectForm[];
  /** Only these relations matter. */
  readonly relations: readonly { readonly type: string; readonly relation: string }[];
}

export interface Graph {
  /**
   * The relationships stored under those relations, in any order, doubles allowed; at most `limit` + 1 of them, where
   * the one too many says that there are more.
   */
  forward(read: ForwardRead, limit: number): Promise<readonly Relationship[]>;
  /** The relationships that have those subjects; order and limit as above. */
  backward(read: BackwardRead, limit: number): Promise<readonly Relationship[]>;
  /** Ids of all objects of a type that stand in a relationship, on either side; order and limit as above. */
  objectsOf(type: string, limit: number): Promise<readonly string[]>;
}

/** "note:n1#viewer" */
export function keyOf(set: SetRef): string {
  return `${set.type}:${set.id}#${set.name}`;
}
