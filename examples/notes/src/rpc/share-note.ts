/** ShareNote: a relationship in Authz and a fact for the others; the note itself does not change. */
import type { MethodImpl } from "@connectrpc/connect";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { asSelf } from "@switchboard/kernel/rpc/outgoing";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { NoteSharedSchema } from "../../gen/notes/v1/notes_events_pb.ts";
import { NotesService } from "../../gen/notes/v1/notes_service_pb.ts";

const method = NotesService.method.shareNote;
const fields = z.object({
  // As it came: it is what the permission was asked for.
  noteId: z.guid("must be a UUID"),
  userId: z.guid("must be a UUID").toLowerCase(),
});

export function shareNote({ client, writes }: ServiceDeps): MethodImpl<typeof method> {
  const authz = client(AuthzService);
  return (request, context) => {
    const { noteId, userId } = check(fields, request);
    const object = `note:${noteId}`;
    return writes.write(method, request, context, async (tx) => {
      await tx.publish(NoteSharedSchema, { noteId, userId }, object);
      const viewer = { object, relation: "viewer", subject: `user:${userId}` };
      await authz.writeRelationships({ writes: [viewer] }, asSelf(context));
      return {};
    });
  };
}
