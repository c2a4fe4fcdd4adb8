/** ListObjects. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { LIST_LIMITS } from "../rules/limits.ts";
import { listObjects as evaluate } from "../rules/list-objects.ts";
import { formatObject } from "../rules/reference.ts";
import { inOneState } from "../store/one-state.ts";
import { ownReference, requireAbout } from "./callers.ts";
import { requireDeclared, requireType, whenRead } from "./declared.ts";
import type { AuthzDeps } from "./deps.ts";
import { nameField, objectField } from "./fields.ts";
import { idPage, pageOf } from "./id-pages.ts";

export function listObjects(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.listObjects> {
  return async (request, context) => {
    const subject = objectField("subject", ownReference(context, "subject", request.subject));
    const permission = nameField("permission", request.permission);
    const objectType = nameField("object_type", request.objectType);
    await requireAbout(context, deps.authorizer, formatObject(subject));
    await whenRead(deps.models, () => {
      requireType(deps.models, subject.type);
      requireDeclared(deps.models, objectType, permission);
    });
    const query = { subject: formatObject(subject), permission, objectType };
    const page = pageOf(context, request, query, deps.now());
    const model = deps.models.current();
    const { result } = await inOneState(deps.database, (graph) =>
      evaluate(model, graph, { subject, permission, objectType }, LIST_LIMITS),
    );
    const { ids, nextPageToken } = idPage(page, result.ids);
    return { objects: ids.map((id) => `${objectType}:${id}`), nextPageToken, everyObject: result.all };
  };
}
