/** ListRoleGrants: the stored relationships whose relation is a role. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { readModel } from "../models/kept-models.ts";
import { rolesOf } from "../rules/model.ts";
import { formatObject, formatSubject } from "../rules/reference.ts";
import type { RelationshipRow } from "../store/relationship-table.ts";
import { isOneOf } from "../store/relationships.ts";
import { ownReference } from "./callers.ts";
import type { AuthzDeps } from "./deps.ts";
import { nameField, objectField, subjectField } from "./fields.ts";
import { relationshipPage } from "./relationship-page.ts";

export function listRoleGrants(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.listRoleGrants> {
  return async (request, context) => {
    const matching: Partial<RelationshipRow> = {};
    if (request.object !== "") {
      const { type, id } = objectField("object", ownReference(context, "object", request.object));
      Object.assign(matching, { objectType: type, objectId: id });
    }
    if (request.role !== "") matching.relation = nameField("role", request.role);
    if (request.subject !== "") {
      const { type, id, relation } = subjectField("subject", ownReference(context, "subject", request.subject));
      Object.assign(matching, { subjectType: type, subjectId: id, subjectRelation: relation });
    }
    const isRole = isOneOf(rolesOf(await readModel(deps.database.queries)));
    const { found, nextPageToken } = await relationshipPage(deps, context, request, matching, [isRole]);
    const roleGrants = found.map((grant) => ({
      object: formatObject(grant.object),
      role: grant.relation,
      subject: formatSubject(grant.subject),
    }));
    return { roleGrants, nextPageToken };
  };
}
