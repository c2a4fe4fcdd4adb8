/** GrantRole. */
import type { MethodImpl } from "@connectrpc/connect";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { changeRelationships, requireTaken } from "./change-relationships.ts";
import type { AuthzDeps } from "./deps.ts";
import { roleField } from "./role.ts";

const method = AuthzService.method.grantRole;

export function grantRole(deps: AuthzDeps): MethodImpl<typeof method> {
  return (request, context) => {
    const model = deps.model();
    const grant = roleField(model, request);
    requireTaken(model, "subject", grant);
    callOf(context).object = request.subject;
    return deps.writes.write(method, request, context, async (tx) => ({
      consistencyToken: await changeRelationships(tx, { writes: [grant], deletes: [] }),
    }));
  };
}
