/** Authz: relationships and roles in one graph, and the question who may do what. */
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { UserDeletedSchema, UserDisabledSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import type { Program } from "@switchboard/kernel/run-service";
import { on, type PlatformDeps, rpc } from "@switchboard/kernel/service";
import { personDeleted, personDisabled } from "./events/people.ts";
import { openLearntModels } from "./learnt-models.ts";
import { batchCheck } from "./rpc/batch-check.ts";
import { check } from "./rpc/check.ts";
import { explain } from "./rpc/explain.ts";
import { objectField, requireDeclared } from "./rpc/fields.ts";
import { grantRole } from "./rpc/grant-role.ts";
import { listObjects } from "./rpc/list-objects.ts";
import { listRoleGrants } from "./rpc/list-role-grants.ts";
import { listSubjects } from "./rpc/list-subjects.ts";
import { readRelationships } from "./rpc/read-relationships.ts";
import { revokeRole } from "./rpc/revoke-role.ts";
import { writeRelationships } from "./rpc/write-relationships.ts";
import { check as evaluate } from "./rules/check.ts";
import { CHECK_LIMITS } from "./rules/limits.ts";
import { sqlGraph } from "./store/sql-graph.ts";

export function createAuthzService(platform: PlatformDeps): Program & { readonly authorizer: Authorizer } {
  const models = openLearntModels(platform);
  const graph = sqlGraph(platform.database.queries);
  const authorizer: Authorizer = {
    async check(subjectText, permission, objectText) {
      const subject = objectField("subject", subjectText);
      const object = objectField("object", objectText);
      const model = models.current();
      requireDeclared(model, object.type, permission);
      return await evaluate(model, graph, { subject, permission, object }, CHECK_LIMITS);
    },
  };
  const { database, writes, now } = platform;
  const deps = { database, writes, now, authorizer, graph, model: models.current };
  return {
    name: "authz",
    authorizer,
    rpcs: [
      rpc(AuthzService, {
        check: check(deps),
        batchCheck: batchCheck(deps),
        writeRelationships: writeRelationships(deps),
        readRelationships: readRelationships(deps),
        listObjects: listObjects(deps),
        listSubjects: listSubjects(deps),
        explain: explain(deps),
        grantRole: grantRole(deps),
        revokeRole: revokeRole(deps),
        listRoleGrants: listRoleGrants(deps),
      }),
    ],
    consumers: [
      on("identity", UserDeletedSchema, personDeleted),
      on("identity", UserDisabledSchema, personDisabled(models.current)),
    ],
    problems: models.problems,
  };
}
