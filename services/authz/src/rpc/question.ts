/** A question of a request: whether a subject holds a permission on an object. */
import type { HandlerContext } from "@connectrpc/connect";
import type { Question } from "../rules/check.ts";
import type { Model } from "../rules/model.ts";
import { ownReference } from "./callers.ts";
import { requireDeclared, requireType } from "./declared.ts";
import type { Models } from "./deps.ts";
import { nameField, objectField } from "./fields.ts";

export interface QuestionRequest {
  readonly subject: string;
  readonly permission: string;
  readonly object: string;
}

/** @param prefix what stands before the fields' names: "checks[3]." @throws AppError INVALID_FIELD */
export function questionField(context: HandlerContext, request: QuestionRequest, prefix = ""): Question {
  const reference = (field: "subject" | "object") =>
    objectField(prefix + field, ownReference(context, prefix + field, request[field]));
  return {
    subject: reference("subject"),
    permission: nameField(`${prefix}permission`, request.permission),
    object: reference("object"),
  };
}

/** The model that has what it names. @throws AppError MODEL_INVALID, or AUTHZ_UNAVAILABLE where it may still be learnt */
export function requireAnswerable(models: Models, { subject, permission, object }: Question): Model {
  requireType(models, subject.type);
  requireDeclared(models, object.type, permission);
  return models.current();
}
