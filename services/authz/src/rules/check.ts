/** Whether a subject holds a permission (or a relation) on an object, and why or why not. */
import { type Step, walkForward } from "./forward-walk.ts";
import { type Graph, keyOf } from "./graph.ts";
import type { Limits } from "./limits.ts";
import type { Model } from "./model.ts";
import { formatObject, type ObjectRef } from "./reference.ts";

export interface Question {
  readonly subject: ObjectRef;
  readonly permission: string;
  readonly object: ObjectRef;
}

export interface Explanation {
  readonly allowed: boolean;
  /** Allowed: the shortest way from the permission to the subject, a line a step. */
  readonly path: readonly string[];
  /** Not allowed: what would have granted it and is not there. */
  readonly missing: readonly string[];
}

/** The longest `missing`; a wide graph has more ways than anybody reads. */
const MAX_MISSING = 100;

/** @throws AppError GRAPH_TOO_DEEP */
export async function check(model: Model, graph: Graph, question: Question, limits: Limits): Promise<boolean> {
  let allowed = false;
  await walkForward(model, graph, { ...question.object, name: question.permission }, limits, {
    wanted: question.subject,
    found() {
      allowed = true;
      return true;
    },
  });
  return allowed;
}

/** @throws AppError GRAPH_TOO_DEEP */
export async function explain(model: Model, graph: Graph, question: Question, limits: Limits): Promise<Explanation> {
  let path: readonly string[] | undefined;
  const missing = new Set<string>();
  await walkForward(model, graph, { ...question.object, name: question.permission }, limits, {
    wanted: question.subject,
    found(subject, step, how) {
      path = [...linesTo(step), `${formatObject(subject)}: ${how}`];
      return true;
    },
    deadEnd(line) {
      if (missing.size <= MAX_MISSING) missing.add(line());
    },
  });
  if (path !== undefined) return { allowed: true, path, missing: [] };
  const lines = [...missing];
  if (lines.length > MAX_MISSING) lines.splice(MAX_MISSING, Infinity, "… and more");
  return { allowed: false, path: [], missing: lines };
}

function linesTo(last: Step): readonly string[] {
  const lines: string[] = [];
  for (let step: Step | undefined = last; step !== undefined; step = step.from) {
    lines.unshift(step.how === "" ? keyOf(step.set) : `${keyOf(step.set)}: ${step.how}`);
  }
  return lines;
}
