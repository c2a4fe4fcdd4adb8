/** WriteRelationships. */
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { AuthzService, type Relationship as Message } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { Relationship } from "../rules/reference.ts";
import { requirePlatform } from "./callers.ts";
import { changeRelationships, requireTaken } from "./change-relationships.ts";
import type { AuthzDeps } from "./deps.ts";
import { invalidField, objectField, subjectField } from "./fields.ts";

const method = AuthzService.method.writeRelationships;
const MAX_CHANGES = 1_000;

export function writeRelationships(deps: AuthzDeps): MethodImpl<typeof method> {
  return async (request, context) => {
    if (request.writes.length + request.deletes.length > MAX_CHANGES) {
      throw invalidField("writes", `and deletes must be at most ${MAX_CHANGES} together`);
    }
    const writes = request.writes.map((message, index) => parse(`writes[${index}]`, message));
    const deletes = request.deletes.map((message, index) => parse(`deletes[${index}]`, message));
    await requireOwner(deps, context, [...writes, ...deletes]);
    const model = deps.model();
    for (const [index, relationship] of writes.entries()) requireTaken(model, `writes[${index}]`, relationship);
    return deps.writes.write(method, request, context, async (tx) => ({
      consistencyToken: await changeRelationships(tx, { writes, deletes }),
    }));
  };
}

function parse(field: string, message: Message): Relationship {
  return {
    object: objectField(`${field}.object`, message.object),
    relation: message.relation,
    subject: subjectField(`${field}.subject`, message.subject),
  };
}

/** A service changes what belongs to its own types; for all else it takes the permission. */
async function requireOwner(
  deps: AuthzDeps,
  context: HandlerContext,
  relationships: readonly Relationship[],
): Promise<void> {
  const { principal } = callOf(context);
  const model = deps.model();
  const owns = ({ object }: Relationship) =>
    principal.kind === "service" && model.types.get(object.type)?.owner === principal.service;
  if (!relationships.every(owns)) await requirePlatform(context, deps.authorizer, "manage_relationships");
}
