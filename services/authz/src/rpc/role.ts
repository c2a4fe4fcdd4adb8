/** A role of a request: a relation that its model marks as one. */
import type { Model } from "../rules/model.ts";
import type { Relationship } from "../rules/reference.ts";
import { invalidField, objectField, subjectField } from "./fields.ts";

export interface RoleRequest {
  readonly subject: string;
  readonly role: string;
  readonly object: string;
}

/** @throws AppError INVALID_FIELD */
export function roleField(model: Model, request: RoleRequest): Relationship {
  const object = objectField("object", request.object);
  const subject = subjectField("subject", request.subject);
  if (!model.types.get(object.type)?.relations.get(request.role)?.role) {
    throw invalidField("role", `"${request.role}" is no role on ${object.type}`);
  }
  return { object, relation: request.role, subject };
}
