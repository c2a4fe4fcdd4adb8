/** WriteRelationships. */
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { AuthzService, type Relationship as Message } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { formatObject, formatRelationship, type Relationship } from "../rules/reference.ts";
import { requireAdministratorLeft } from "./administrators.ts";
import { ownReference, requirePlatform } from "./callers.ts";
import { changeRelationships, requireTaken } from "./change-relationships.ts";
import { formatToken } from "./consistency-token.ts";
import { whenRead } from "./declared.ts";
import type { AuthzDeps } from "./deps.ts";
import { invalidField, nameField, objectField, subjectField } from "./fields.ts";
import { ownsAll } from "./owners.ts";

const method = AuthzService.method.writeRelationships;
const MAX_CHANGES = 1_000;

export function writeRelationships(deps: AuthzDeps): MethodImpl<typeof method> {
  return async (request, context) => {
    if (request.writes.length + request.deletes.length > MAX_CHANGES) {
      throw invalidField("writes", `and deletes must be at most ${MAX_CHANGES} together`);
    }
    const writes = request.writes.map((message, index) => parse(context, `writes[${index}]`, message));
    const deletes = request.deletes.map((message, index) => parse(context, `deletes[${index}]`, message));
    refuseBoth(writes, deletes);
    const types = new Set([...writes, ...deletes].map(({ object }) => object.type));
    if (!(await ownsAll(deps, context, [...types]))) {
      await requirePlatform(context, deps.authorizer, "manage_relationships");
    }
    await whenRead(deps.models, () => {
      for (const [index, relationship] of writes.entries()) requireTaken(deps.models, `writes[${index}]`, relationship);
    });
    const objects = new Set([...writes, ...deletes].map(({ object }) => formatObject(object)));
    if (objects.size === 1) callOf(context).object = [...objects].join();
    return deps.writes.write(method, request, context, async (tx) => {
      const { revision, deleted } = await changeRelationships(tx, { writes, deletes });
      await requireAdministratorLeft(tx, deps.models.current(), deleted);
      return { consistencyToken: formatToken(revision) };
    });
  };
}

function parse(context: HandlerContext, field: string, message: Message): Relationship {
  const reference = (part: "object" | "subject") => ownReference(context, `${field}.${part}`, message[part]);
  return {
    object: objectField(`${field}.object`, reference("object")),
    relation: nameField(`${field}.relation`, message.relation),
    subject: subjectField(`${field}.subject`, reference("subject")),
  };
}

/** One transaction has no order in which both could be meant. */
function refuseBoth(writes: readonly Relationship[], deletes: readonly Relationship[]): void {
  const written = new Set(writes.map(formatRelationship));
  const index = deletes.findIndex((relationship) => written.has(formatRelationship(relationship)));
  if (index >= 0) throw invalidField(`deletes[${index}]`, "is in writes too; leave it out of one of them");
}
