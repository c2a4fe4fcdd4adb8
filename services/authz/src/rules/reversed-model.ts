/**
 * What leads to one permission, by the model alone: which relations can matter, and its terms turned around, so that a
 * search can go from a subject towards objects.
 */
import type { Model } from "./model.ts";
import type { ObjectRef } from "./reference.ts";

/** A relation or permission of a type. */
export interface TypeName {
  readonly type: string;
  readonly name: string;
}

export interface Reversed {
  /** Every relation whose relationships can matter. */
  readonly relations: readonly { readonly type: string; readonly relation: string }[];
  /** `from`, held on an object, gives `to` on the same object. */
  readonly sameObject: readonly { readonly from: TypeName; readonly to: TypeName }[];
  /** `from`, held on an object, gives `to` on the objects whose `relation` points to it. */
  readonly arrows: readonly { readonly from: TypeName; readonly relation: string; readonly to: TypeName }[];
  /** `name`, held on the one object, gives `to` on every object of its type. */
  readonly fixed: readonly { readonly object: ObjectRef; readonly name: string; readonly to: TypeName }[];
  /** The one subject holds `to` on every object of its type. */
  readonly constants: readonly { readonly subject: ObjectRef; readonly to: TypeName }[];
  /** What a user holds on itself. */
  readonly self: readonly TypeName[];
  /** Whether a relationship that can matter takes such a set as its subject. */
  isSubject(set: TypeName): boolean;
  /** Whether holding that relation or permission can matter. */
  matters(name: TypeName): boolean;
}

export function reverse(model: Model, target: TypeName): Reversed {
  const relations = new Map<string, { type: string; relation: string }>();
  const sameObject: { from: TypeName; to: TypeName }[] = [];
  const arrows: { from: TypeName; relation: string; to: TypeName }[] = [];
  const fixed: { object: ObjectRef; name: string; to: TypeName }[] = [];
  const constants: { subject: ObjectRef; to: TypeName }[] = [];
  const self: TypeName[] = [];
  const sets = new Set<string>();
  const needed = new Map([[typeNameKey(target), target]]);
  const need = (name: TypeName) => void (needed.has(typeNameKey(name)) || needed.set(typeNameKey(name), name));

  /** Relevant from now on; gives what it takes. */
  const relation = (type: string, name: string) => {
    relations.set(`${type}.${name}`, { type, relation: name });
    return model.types.get(type)?.relations.get(name)?.subjects ?? [];
  };

  // A map's iteration comes to what is added on the way.
  for (const to of needed.values()) {
    const type = model.types.get(to.type);
    if (type?.relations.has(to.name)) {
      for (const form of relation(to.type, to.name)) {
        if (form.relation === "") continue;
        const set = { type: form.type, name: form.relation };
        sets.add(typeNameKey(set));
        need(set);
      }
    }
    for (const term of type?.permissions.get(to.name)?.anyOf ?? []) {
      if (term.kind === "self") self.push(to);
      else if (term.kind === "subject") constants.push({ subject: term.subject, to });
      else if (term.kind === "name") {
        const from = { type: to.type, name: term.name };
        sameObject.push({ from, to });
        need(from);
      } else if (term.kind === "fixed") {
        fixed.push({ object: term.object, name: term.name, to });
        need({ type: term.object.type, name: term.name });
      } else {
        for (const form of relation(to.type, term.relation)) {
          if (form.relation !== "") continue;
          const from = { type: form.type, name: term.name };
          arrows.push({ from, relation: term.relation, to });
          need(from);
        }
      }
    }
  }
  return {
    relations: [...relations.values()],
    sameObject,
    arrows,
    fixed,
    constants,
    self,
    isSubject: (set) => sets.has(typeNameKey(set)),
    matters: (name) => needed.has(typeNameKey(name)),
  };
}

/** "note.view" */
export function typeNameKey({ type, name }: TypeName): string {
  return `${type}.${name}`;
}

export function sameTypeName(a: TypeName, b: TypeName): boolean {
  return a.type === b.type && a.name === b.name;
}
