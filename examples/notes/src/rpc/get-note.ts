/** GetNote. Whether the caller may view it was decided before: the contract names the permission. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import type { NotesService } from "../../gen/notes/v1/notes_service_pb.ts";
import { findNote } from "../store/notes.ts";
import { noteMessage } from "./note-message.ts";

const fields = z.object({ noteId: z.guid("must be a UUID") });

export function getNote({ database }: ServiceDeps): MethodImpl<typeof NotesService.method.getNote> {
  return async (request) => {
    const { noteId } = check(fields, request);
    const note = await findNote(database.queries, noteId);
    if (note === undefined) throw new AppError("NOT_FOUND", `there is no note ${noteId}`);
    return { note: noteMessage(note) };
  };
}
