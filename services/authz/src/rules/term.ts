/** Reads the entries of `PermissionRule.any_of` and `Relation.subjects`, as policy.proto writes them. */
import type { SubjectForm, Term } from "./model.ts";
import { formatObject, isName, parseSubject } from "./reference.ts";

/** Undefined where it has none of the forms that policy.proto names. */
export function parseTerm(text: string): Term | undefined {
  if (text === "self") return { kind: "self" };
  if (isName(text)) return { kind: "name", name: text };
  const [relation = "", name = "", ...rest] = text.split("->");
  if (isName(relation) && isName(name) && rest.length === 0) return { kind: "arrow", relation, name };
  const subject = parseSubject(text);
  if (subject === undefined) return undefined;
  const object = { type: subject.type, id: subject.id };
  return subject.relation === ""
    ? { kind: "subject", subject: object }
    : { kind: "fixed", object, name: subject.relation };
}

/** "user" or "group#member"; undefined where it is written otherwise. */
export function parseSubjectForm(text: string): SubjectForm | undefined {
  const [type = "", relation = "", ...rest] = text.split("#");
  const wellFormed = isName(type) && (isName(relation) || (relation === "" && !text.includes("#")));
  return wellFormed && rest.length === 0 ? { type, relation } : undefined;
}

/** As it was written. */
export function formatTerm(term: Term): string {
  switch (term.kind) {
    case "name":
      return term.name;
    case "arrow":
      return `${term.relation}->${term.name}`;
    case "fixed":
      return `${formatObject(term.object)}#${term.name}`;
    case "subject":
      return formatObject(term.subject);
    case "self":
      return "self";
  }
}
