/** ListObjects. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { LIST_LIMITS } from "../rules/limits.ts";
import { listObjects as evaluate } from "../rules/list-objects.ts";
import { ownSubject, requireAbout } from "./callers.ts";
import type { AuthzDeps } from "./deps.ts";
import { objectField, requireDeclared } from "./fields.ts";
import { idPage } from "./id-pages.ts";

export function listObjects(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.listObjects> {
  return async (request, context) => {
    const { permission, objectType } = request;
    const subject = objectField("subject", ownSubject(context, request.subject));
    await requireAbout(context, deps.authorizer, `${subject.type}:${subject.id}`);
    const model = deps.model();
    requireDeclared(model, objectType, permission);
    const query = { subject: `${subject.type}:${subject.id}`, permission, objectType };
    const { ids, nextPageToken } = await idPage(context, request, query, deps.now(), async () => {
      const found = await evaluate(model, deps.graph, { subject, permission, objectType }, LIST_LIMITS);
      return found.ids;
    });
    return { objects: ids.map((id) => `${objectType}:${id}`), nextPageToken };
  };
}
