/** ListSubjects. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { LIST_LIMITS } from "../rules/limits.ts";
import { listSubjects as evaluate } from "../rules/list-subjects.ts";
import type { AuthzDeps } from "./deps.ts";
import { objectField, requireDeclared } from "./fields.ts";
import { idPage } from "./id-pages.ts";

export function listSubjects(deps: AuthzDeps): MethodImpl<typeof AuthzService.method.listSubjects> {
  return async (request, context) => {
    const { permission, subjectType } = request;
    const object = objectField("object", request.object);
    const model = deps.model();
    requireDeclared(model, object.type, permission);
    const query = { object: request.object, permission, subjectType };
    const { ids, nextPageToken } = await idPage(context, request, query, deps.now(), () =>
      evaluate(model, deps.graph, { object, permission, subjectType }, LIST_LIMITS),
    );
    return { subjects: ids.map((id) => `${subjectType}:${id}`), nextPageToken };
  };
}
