/**
 * The semantics of a model, computed the slow and obvious way: who holds what, grown until nothing is added. What the
 * evaluator must agree with.
 */
import type { Model, Term } from "../src/rules/model.ts";
import { formatObject, type ObjectRef, type Relationship } from "../src/rules/reference.ts";

export class Fixpoint {
  /** "note:n1#view" → "user:a", … */
  readonly #holders = new Map<string, Set<string>>();

  constructor(model: Model, relationships: readonly Relationship[], objects: readonly ObjectRef[]) {
    const valid = relationships.filter(({ object, relation, subject }) =>
      model.types
        .get(object.type)
        ?.relations.get(relation)
        ?.subjects.some((form) => form.type === subject.type && form.relation === subject.relation),
    );
    const related = (object: ObjectRef, relation: string) =>
      valid.filter((row) => formatObject(row.object) === formatObject(object) && row.relation === relation);
    const given = (object: ObjectRef, term: Term): Iterable<string> => {
      switch (term.kind) {
        case "self":
          return [formatObject(object)];
        case "subject":
          return [formatObject(term.subject)];
        case "name":
          return this.holders(object, term.name);
        case "fixed":
          return this.holders(term.object, term.name);
        case "arrow":
          return related(object, term.relation)
            .filter(({ subject }) => subject.relation === "")
            .flatMap(({ subject }) => [...this.holders(subject, term.name)]);
      }
    };
    for (let before = -1, now = 0; before !== now; ) {
      before = now;
      for (const object of objects) {
        const type = model.types.get(object.type);
        for (const name of type?.relations.keys() ?? []) {
          for (const { subject } of related(object, name)) {
            if (subject.relation === "") this.#add(object, name, [formatObject(subject)]);
            else this.#add(object, name, this.holders(subject, subject.relation));
          }
        }
        for (const permission of type?.permissions.values() ?? []) {
          for (const term of permission.anyOf) this.#add(object, permission.name, given(object, term));
        }
      }
      now = [...this.#holders.values()].reduce((sum, set) => sum + set.size, 0);
    }
  }

  holders(object: ObjectRef, name: string): ReadonlySet<string> {
    return this.#holders.get(`${formatObject(object)}#${name}`) ?? new Set();
  }

  #add(object: ObjectRef, name: string, subjects: Iterable<string>): void {
    const key = `${formatObject(object)}#${name}`;
    this.#holders.set(key, new Set([...this.holders(object, name), ...subjects]));
  }
}
