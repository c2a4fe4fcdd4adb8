/** A role of a request: a relation that its model marks as one. */
import type { HandlerContext } from "@connectrpc/connect";
import type { Relationship } from "../rules/reference.ts";
import { ownReference } from "./callers.ts";
import { requireTaken } from "./change-relationships.ts";
import { listed, requireAllRead } from "./declared.ts";
import type { Models } from "./deps.ts";
import { invalidField, nameField, objectField, subjectField } from "./fields.ts";

export interface RoleRequest {
  readonly subject: string;
  readonly role: string;
  readonly object: string;
}

/** @throws AppError INVALID_FIELD, or AUTHZ_UNAVAILABLE where it may still be learnt */
export function roleField(context: HandlerContext, models: Models, request: RoleRequest): Relationship {
  const subject = subjectField("subject", ownReference(context, "subject", request.subject));
  const role = nameField("role", request.role);
  const object = objectField("object", request.object);
  const relations = models.current().types.get(object.type)?.relations;
  if (!relations?.get(role)?.role) {
    requireAllRead(models, `"${role}" is no role on type "${object.type}"`);
    const roles = [...(relations?.values() ?? [])].filter((relation) => relation.role).map(({ name }) => name);
    throw invalidField("role", `must be a role on type "${object.type}", which has ${listed(roles)}`);
  }
  const grant = { object, relation: role, subject };
  requireTaken(models, "subject", grant);
  return grant;
}
