/** ReadRelationships. */
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { formatObject, formatSubject, isName } from "../rules/reference.ts";
import type { RelationshipRow } from "../store/relationship-table.ts";
import { ownReference, requirePlatform } from "./callers.ts";
import type { AuthzDeps } from "./deps.ts";
import { nameField, objectField, subjectField } from "./fields.ts";
import { ownsAll } from "./owners.ts";
import { relationshipPage } from "./relationship-page.ts";

export function readRelationships(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.readRelationships> {
  return async (request, context) => {
    const matching = matchingOf(context, request);
    const { objectType } = matching;
    if (objectType === undefined || !(await ownsAll(deps, context, [objectType]))) {
      await requirePlatform(context, deps.authorizer, "view_relationships");
    }
    const { found, nextPageToken } = await relationshipPage(deps, context, request, matching);
    const relationships = found.map(({ object, relation, subject }) => ({
      object: formatObject(object),
      relation,
      subject: formatSubject(subject),
    }));
    return { relationships, nextPageToken };
  };
}

/** Relations need not be declared: what an older model left is read too. */
function matchingOf(
  context: HandlerContext,
  request: { readonly object: string; readonly relation: string; readonly subject: string },
): Partial<RelationshipRow> {
  const matching: Partial<RelationshipRow> = {};
  const { object, relation, subject } = request;
  if (object.endsWith(":") && isName(object.slice(0, -1))) matching.objectType = object.slice(0, -1);
  else if (object !== "") {
    const { type, id } = objectField("object", ownReference(context, "object", object));
    Object.assign(matching, { objectType: type, objectId: id });
  }
  if (relation !== "") matching.relation = nameField("relation", relation);
  if (subject !== "") {
    const { type, id, relation: set } = subjectField("subject", ownReference(context, "subject", subject));
    Object.assign(matching, { subjectType: type, subjectId: id, subjectRelation: set });
  }
  return matching;
}
