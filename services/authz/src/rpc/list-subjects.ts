/** ListSubjects. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { LIST_LIMITS } from "../rules/limits.ts";
import { listSubjects as evaluate } from "../rules/list-subjects.ts";
import { formatObject } from "../rules/reference.ts";
import { inOneState } from "../store/one-state.ts";
import { ownReference } from "./callers.ts";
import { requireDeclared, requireType, whenRead } from "./declared.ts";
import type { AuthzDeps } from "./deps.ts";
import { nameField, objectField } from "./fields.ts";
import { idPage, pageOf } from "./id-pages.ts";

export function listSubjects(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.listSubjects> {
  return async (request, context) => {
    const object = objectField("object", ownReference(context, "object", request.object));
    const permission = nameField("permission", request.permission);
    const subjectType = nameField("subject_type", request.subjectType);
    await whenRead(deps.models, () => {
      requireDeclared(deps.models, object.type, permission);
      requireType(deps.models, subjectType);
    });
    const query = { object: formatObject(object), permission, subjectType };
    const page = pageOf(context, request, query, deps.now());
    const model = deps.models.current();
    const { result } = await inOneState(deps.database, (graph) =>
      evaluate(model, graph, { object, permission, subjectType }, LIST_LIMITS),
    );
    const { ids, nextPageToken } = idPage(page, result);
    return { subjects: ids.map((id) => `${subjectType}:${id}`), nextPageToken };
  };
}
