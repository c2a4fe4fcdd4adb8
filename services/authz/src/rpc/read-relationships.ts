/** ReadRelationships. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { formatObject, formatSubject, isName } from "../rules/reference.ts";
import type { RelationshipRow } from "../store/relationship-table.ts";
import { requirePlatform } from "./callers.ts";
import type { AuthzDeps } from "./deps.ts";
import { objectField, subjectField } from "./fields.ts";
import { relationshipPage } from "./relationship-page.ts";

export function readRelationships(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.readRelationships> {
  return async (request, context) => {
    const matching = matchingOf(request);
    const { principal } = callOf(context);
    const owner = deps.model().types.get(matching.objectType ?? "")?.owner;
    if (principal.kind !== "service" || principal.service !== owner) {
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

function matchingOf(request: { object: string; relation: string; subject: string }): Partial<RelationshipRow> {
  const matching: Partial<RelationshipRow> = {};
  const { object, relation, subject } = request;
  if (object.endsWith(":") && isName(object.slice(0, -1))) matching.objectType = object.slice(0, -1);
  else if (object !== "") {
    const { type, id } = objectField("object", object);
    Object.assign(matching, { objectType: type, objectId: id });
  }
  if (relation !== "") matching.relation = relation;
  if (subject !== "") {
    const { type, id, relation: set } = subjectField("subject", subject);
    Object.assign(matching, { subjectType: type, subjectId: id, subjectRelation: set });
  }
  return matching;
}
