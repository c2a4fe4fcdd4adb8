/**
 * How objects, subjects and relationships are written: `type:id`, and `type:id#relation` for a set of subjects. Parses and
 * prints; whether a model knows the type is another question (model.ts).
 */
export interface ObjectRef {
  readonly type: string;
  readonly id: string;
}

/** An object or, where `relation` is not empty, all who hold that relation or permission on it. */
export interface SubjectRef extends ObjectRef {
  readonly relation: string;
}

export interface Relationship {
  readonly object: ObjectRef;
  readonly relation: string;
  readonly subject: SubjectRef;
}

/** What an `id` may be made of, for messages. */
export const ID_FORM = "1 to 128 of A-Z a-z 0-9 . _ ~ @ + -";

/** What the name of a type, a relation or a permission may be made of, for messages. */
export const NAME_FORM = "a lower-case letter, then up to 62 of a-z 0-9 _";

const namePattern = /^[a-z][a-z0-9_]{0,62}$/;
const objectPattern = /^([a-z][a-z0-9_]{0,62}):([A-Za-z0-9._~@+-]{1,128})$/;
const setPattern = /^([a-z][a-z0-9_]{0,62}):([A-Za-z0-9._~@+-]{1,128})#([a-z][a-z0-9_]{0,62})$/;

/** Whether a text can name a type, a relation or a permission: lower case with underscores, at most 63 characters. */
export function isName(text: string): boolean {
  return namePattern.test(text);
}

/** `type:id`; undefined where it is written otherwise. */
export function parseObject(text: string): ObjectRef | undefined {
  const [, type, id] = objectPattern.exec(text) ?? [];
  return type !== undefined && id !== undefined ? { type, id } : undefined;
}

/** `type:id` or `type:id#relation`; undefined where it is written otherwise. */
export function parseSubject(text: string): SubjectRef | undefined {
  const object = parseObject(text);
  if (object !== undefined) return { ...object, relation: "" };
  const [, type, id, relation] = setPattern.exec(text) ?? [];
  return type !== undefined && id !== undefined && relation !== undefined ? { type, id, relation } : undefined;
}

export function formatObject(object: ObjectRef): string {
  return `${object.type}:${object.id}`;
}

export function formatSubject(subject: SubjectRef): string {
  return subject.relation === "" ? formatObject(subject) : `${formatObject(subject)}#${subject.relation}`;
}

/** Also a key that is different for every relationship. */
export function formatRelationship(relationship: Relationship): string {
  return `${formatObject(relationship.object)}#${relationship.relation}@${formatSubject(relationship.subject)}`;
}
