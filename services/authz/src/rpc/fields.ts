/** References in requests: parsed, or INVALID_FIELD that names the field and its form. */
import { AppError } from "@switchboard/contract/app-error";
import { declares, type Model } from "../rules/model.ts";
import { ID_FORM, type ObjectRef, parseObject, parseSubject, type SubjectRef } from "../rules/reference.ts";

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

/** @throws AppError MODEL_INVALID where no registered contract declares the permission on the type. */
export function requireDeclared(model: Model, type: string, permission: string): void {
  if (declares(model, type, permission)) return;
  throw new AppError(
    "MODEL_INVALID",
    `no registered contract declares "${permission}" on type "${type}"; check the name, or start the service that declares it`,
  );
}
