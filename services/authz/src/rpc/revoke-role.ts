/** RevokeRole: never the last administrator's. */
import type { MethodImpl } from "@connectrpc/connect";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { formatSubject } from "../rules/reference.ts";
import { requireAdministratorLeft } from "./administrators.ts";
import { changeRelationships } from "./change-relationships.ts";
import { formatToken } from "./consistency-token.ts";
import { whenRead } from "./declared.ts";
import type { AuthzDeps } from "./deps.ts";
import { roleField } from "./role.ts";

const method = AuthzService.method.revokeRole;

export function revokeRole(deps: AuthzDeps): MethodImpl<typeof method> {
  return async (request, context) => {
    const grant = await whenRead(deps.models, () => roleField(context, deps.models, request));
    callOf(context).object = formatSubject(grant.subject);
    return deps.writes.write(method, request, context, async (tx) => {
      const { revision, deleted } = await changeRelationships(tx, { writes: [], deletes: [grant] });
      await requireAdministratorLeft(tx, deps.models.current(), deleted);
      return { consistencyToken: formatToken(revision) };
    });
  };
}
