/**
 * The authorization model in force: types, relations and permissions, as the evaluator walks them. Made by
 * merge-models.ts out of what the services' contracts declare.
 */
import type { ObjectRef, Relationship } from "./reference.ts";

export interface Model {
  readonly types: ReadonlyMap<string, TypeModel>;
}

export interface TypeModel {
  readonly name: string;
  /** The service whose contract the type belongs to: it alone adds relations and may write its relationships. */
  readonly owner: string;
  readonly relations: ReadonlyMap<string, RelationModel>;
  readonly permissions: ReadonlyMap<string, PermissionModel>;
}

export interface RelationModel {
  readonly name: string;
  /** Whether GrantRole and RevokeRole take it. */
  readonly role: boolean;
  readonly subjects: readonly SubjectForm[];
}

/** A kind of subject that a relation takes: objects of a type or, where `relation` is not empty, such sets. */
export interface SubjectForm {
  readonly type: string;
  readonly relation: string;
}

export interface PermissionModel {
  readonly name: string;
  /** The service whose contract declares it. */
  readonly declaredBy: string;
  /** A union: whoever is given it by one of these holds it. */
  readonly anyOf: readonly Term[];
}

export type Term =
  /** A relation or permission of the same object. */
  | { readonly kind: "name"; readonly name: string }
  /** A relation or permission of the objects that a relation of this object points to. */
  | { readonly kind: "arrow"; readonly relation: string; readonly name: string }
  /** A relation or permission of one fixed object. */
  | { readonly kind: "fixed"; readonly object: ObjectRef; readonly name: string }
  /** One fixed subject. */
  | { readonly kind: "subject"; readonly subject: ObjectRef }
  /** The object itself; only on type `user`. */
  | { readonly kind: "self" };

/** Whether the type has a relation or permission of that name. */
export function declares(model: Model, type: string, name: string): boolean {
  const found = model.types.get(type);
  return found !== undefined && (found.relations.has(name) || found.permissions.has(name));
}

/** Whether the model takes a relationship. One that was stored under an older model and is not taken now counts for nothing. */
export function takes(model: Model, { object, relation, subject }: Relationship): boolean {
  const forms = model.types.get(object.type)?.relations.get(relation)?.subjects;
  return forms?.some((form) => form.type === subject.type && form.relation === subject.relation) ?? false;
}

/** Every relation that is a role, with its type. */
export function rolesOf(model: Model): readonly { readonly type: string; readonly role: string }[] {
  return [...model.types.values()].flatMap((type) =>
    [...type.relations.values()]
      .filter((relation) => relation.role)
      .map(({ name }) => ({ type: type.name, role: name })),
  );
}
