/** Authz: relationships and roles in one graph, and the question who may do what. */
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { UserDeletedSchema, UserDisabledSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import type { Program } from "@switchboard/kernel/run-service";
import { on, type PlatformDeps, rpc } from "@switchboard/kernel/service";
import { personDeleted, personDisabled } from "./events/people.ts";
import { createLearntModels } from "./models/learnt-models.ts";
import { batchCheck } from "./rpc/batch-check.ts";
import { check } from "./rpc/check.ts";
import { whenRead } from "./rpc/declared.ts";
import { explain } from "./rpc/explain.ts";
import { objectField } from "./rpc/fields.ts";
import { grantRole } from "./rpc/grant-role.ts";
import { listObjects } from "./rpc/list-objects.ts";
import { listRoleGrants } from "./rpc/list-role-grants.ts";
import { listSubjects } from "./rpc/list-subjects.ts";
import { requireAnswerable } from "./rpc/question.ts";
import { readRelationships } from "./rpc/read-relationships.ts";
import { revokeRole } from "./rpc/revoke-role.ts";
import { writeRelationships } from "./rpc/write-relationships.ts";
import { check as evaluate } from "./rules/check.ts";
import { CHECK_LIMITS } from "./rules/limits.ts";
import { inOneState } from "./store/one-state.ts";

export function createAuthzService(platform: PlatformDeps): Program & { readonly authorizer: Authorizer } {
  const models = createLearntModels(platform);
  const { database, writes, now } = platform;
  const authorizer: Authorizer = {
    async check(subject, permission, object) {
      const question = {
        subject: objectField("subject", subject),
        permission,
        object: objectField("object", object),
      };
      const model = await whenRead(models, () => requireAnswerable(models, question));
      return (await inOneState(database, (graph) => evaluate(model, graph, question, CHECK_LIMITS))).result;
    },
  };
  const deps = { database, writes, now, authorizer, models };
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
    consumers: [on("identity", UserDeletedSchema, personDeleted), on("identity", UserDisabledSchema, personDisabled)],
    start: models.start,
    problems: models.unread,
  };
}
