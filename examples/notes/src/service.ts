/** Notes: the calls it answers and the facts it listens to. */
import { UserDeletedSchema, UserUpdatedSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { on, rpc, type Service, type ServiceDeps } from "@switchboard/kernel/service";
import { NotesService } from "../gen/notes/v1/notes_service_pb.ts";
import { authorDeleted, authorRenamed } from "./events/authors.ts";
import { createNote } from "./rpc/create-note.ts";
import { getNote } from "./rpc/get-note.ts";
import { shareNote } from "./rpc/share-note.ts";

export function createNotesService(deps: ServiceDeps): Service {
  return {
    name: "notes",
    rpcs: [
      rpc(NotesService, {
        createNote: createNote(deps),
        getNote: getNote(deps),
        shareNote: shareNote(deps),
      }),
    ],
    consumers: [on("identity", UserUpdatedSchema, authorRenamed), on("identity", UserDeletedSchema, authorDeleted)],
  };
}
