/** References in requests: parsed, or INVALID_FIELD that names the field and its form. */
import { AppError } from "@switchboard/contract/app-error";
import {
  ID_FORM,
  isName,
  NAME_FORM,
  type ObjectRef,
  parseObject,
  parseSubject,
  type SubjectRef,
} from "../rules/reference.ts";

export function invalidField(field: string, description: string): AppError {
  return new AppError("INVALID_FIELD", `${field} ${description}`, { violations: [{ field, description }] });
}

/** `type:id`. @throws AppError INVALID_FIELD */
export function objectField(field: string, text: string): ObjectRef {
  const object = parseObject(text);
  if (object === undefined) throw invalidField(field, `must be type:id, the id ${ID_FORM}`);
  return object;
}

/** `type:id` or `type:id#relation`. @throws AppError INVALID_FIELD */
export function subjectField(field: string, text: string): SubjectRef {
  const subject = parseSubject(text);
  if (subject === undefined) throw invalidField(field, `must be type:id or type:id#relation, the id ${ID_FORM}`);
  return subject;
}

/** The name of a type, a relation, a role or a permission. @throws AppError INVALID_FIELD */
export function nameField(field: string, text: string): string {
  if (!isName(text)) throw invalidField(field, `must be a name: ${NAME_FORM}`);
  return text;
}
