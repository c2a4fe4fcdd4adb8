/** CreateNote: asks Identity for the author's name, tells Authz who owns the note, and publishes the fact. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { newId } from "@switchboard/contract/ids";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { callOf, userIdOf } from "@switchboard/kernel/rpc/call";
import { asSelf, onBehalfOf } from "@switchboard/kernel/rpc/outgoing";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { NoteCreatedSchema } from "../../gen/notes/v1/notes_events_pb.ts";
import { NotesService } from "../../gen/notes/v1/notes_service_pb.ts";
import { insertNote } from "../store/notes.ts";
import { noteMessage } from "./note-message.ts";

const method = NotesService.method.createNote;
const fields = z.object({
  text: z.string().min(1, "must not be empty").max(10_000, "must have at most 10,000 characters"),
});

export function createNote({ client, writes, now }: ServiceDeps): MethodImpl<typeof method> {
  const identity = client(IdentityService);
  const authz = client(AuthzService);
  return async (request, context) => {
    const { text } = check(fields, request);
    const call = callOf(context);
    const authorId = userIdOf(call);
    if (authorId === undefined) throw new AppError("PERMISSION_DENIED", "only people write notes");
    // As the caller: Identity decides what they may see.
    const { user } = await identity.getUser({ userId: authorId }, onBehalfOf(context));

    const noteId = newId();
    const object = `note:${noteId}`;
    const note = { noteId, text, authorId, authorName: user?.displayName ?? "", createTime: new Date(now()) };
    return writes.write(method, request, context, async (tx) => {
      call.object = object;
      await insertNote(tx.queries, note);
      await tx.publish(NoteCreatedSchema, { noteId, authorId }, object);
      // As this service, and last: a relationship without its note does no harm, a note without its owner would.
      const owner = { object, relation: "owner", subject: `user:${authorId}` };
      await authz.writeRelationships({ writes: [owner] }, asSelf(context));
      return { note: noteMessage(note) };
    });
  };
}
