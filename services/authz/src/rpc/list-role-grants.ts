/** ListRoleGrants: the stored relationships whose relation is a role. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { and, eq, or } from "drizzle-orm";
import { rolesOf } from "../rules/model.ts";
import { formatObject, formatSubject } from "../rules/reference.ts";
import { type RelationshipRow, relationships } from "../store/relationship-table.ts";
import type { AuthzDeps } from "./deps.ts";
import { objectField, subjectField } from "./fields.ts";
import { relationshipPage } from "./relationship-page.ts";

export function listRoleGrants(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.listRoleGrants> {
  return async (request, context) => {
    const matching: Partial<RelationshipRow> = {};
    if (request.object !== "") {
      const { type, id } = objectField("object", request.object);
      Object.assign(matching, { objectType: type, objectId: id });
    }
    if (request.role !== "") matching.relation = request.role;
    if (request.subject !== "") {
      const { type, id, relation } = subjectField("subject", request.subject);
      Object.assign(matching, { subjectType: type, subjectId: id, subjectRelation: relation });
    }
    const { objectType, relation } = relationships;
    const isRole = or(...rolesOf(deps.model()).map(({ type, role }) => and(eq(objectType, type), eq(relation, role))));
    const { found, nextPageToken } = await relationshipPage(deps, context, request, matching, isRole ? [isRole] : []);
    const roleGrants = found.map((grant) => ({
      object: formatObject(grant.object),
      role: grant.relation,
      subject: formatSubject(grant.subject),
    }));
    return { roleGrants, nextPageToken };
  };
}
