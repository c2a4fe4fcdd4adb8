/** A graph in memory: the relationships of a test, with every read counted. */
import type { BackwardRead, ForwardRead, Graph } from "../src/rules/graph.ts";
import { formatSubject, parseObject, parseSubject, type Relationship } from "../src/rules/reference.ts";

export class MemoryGraph implements Graph {
  reads = 0;
  readonly #relationships: readonly Relationship[];

  constructor(relationships: readonly Relationship[]) {
    this.#relationships = relationships;
  }

  async forward({ members, pointers, wanted }: ForwardRead, limit: number): Promise<readonly Relationship[]> {
    this.reads += 1;
    const of = (sets: ForwardRead["members"]) => {
      const keys = new Set(sets.map((set) => `${set.type}:${set.id}#${set.name}`));
      return this.#relationships.filter((row) => keys.has(`${row.object.type}:${row.object.id}#${row.relation}`));
    };
    const matters = ({ subject }: Relationship) =>
      subject.relation !== "" ||
      (subject.type === wanted.type && (wanted.id === undefined || subject.id === wanted.id));
    return [...of(members).filter(matters), ...of(pointers).filter(({ subject }) => subject.relation === "")].slice(
      0,
      limit + 1,
    );
  }

  async backward({ subjects, every, relations }: BackwardRead, limit: number): Promise<readonly Relationship[]> {
    this.reads += 1;
    const wanted = new Set(subjects.map(formatSubject));
    return this.#relationships
      .filter(({ object, relation }) => relations.some((it) => it.type === object.type && it.relation === relation))
      .filter(
        ({ subject }) =>
          wanted.has(formatSubject(subject)) ||
          every.some((form) => form.type === subject.type && form.relation === subject.relation),
      )
      .slice(0, limit + 1);
  }

  async objectsOf(type: string, limit: number): Promise<readonly string[]> {
    const sides = this.#relationships.flatMap(({ object, subject }) => [object, subject]);
    return [...new Set(sides.filter((side) => side.type === type).map(({ id }) => id))].slice(0, limit + 1);
  }
}

/** "note:n1#viewer@group:g#member" */
export function relationship(text: string): Relationship {
  const [set = "", subjectText = ""] = text.split("@");
  const [objectText = "", relation = ""] = set.split("#");
  const object = parseObject(objectText);
  const subject = parseSubject(subjectText);
  if (object === undefined || subject === undefined || relation === "") throw new Error(`no relationship: ${text}`);
  return { object, relation, subject };
}
