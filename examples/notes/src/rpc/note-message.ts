/** A note as callers see it. */
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { NoteRow } from "../store/notes.ts";

export function noteMessage({ createTime, ...note }: NoteRow) {
  return { ...note, createTime: timestampFromDate(createTime) };
}
