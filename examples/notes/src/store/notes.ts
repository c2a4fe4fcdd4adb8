/** The table of notes, and all SQL of this service. */
import type { Queries } from "@switchboard/kernel/database/database";
import { eq } from "drizzle-orm";
import { pgSchema, text, timestamp, uuid } from "drizzle-orm/pg-core";

const notes = pgSchema("notes").table("notes", {
  noteId: uuid("note_id").primaryKey(),
  text: text("text").notNull(),
  authorId: uuid("author_id").notNull(),
  authorName: text("author_name").notNull(),
  createTime: timestamp("create_time", { withTimezone: true, precision: 3, mode: "date" }).notNull(),
});

export type NoteRow = typeof notes.$inferSelect;

export async function insertNote(queries: Queries, note: NoteRow): Promise<void> {
  await queries.insert(notes).values(note);
}

export async function findNote(queries: Queries, noteId: string): Promise<NoteRow | undefined> {
  const [found] = await queries.select().from(notes).where(eq(notes.noteId, noteId));
  return found;
}

export async function renameAuthor(queries: Queries, authorId: string, authorName: string): Promise<void> {
  await queries.update(notes).set({ authorName }).where(eq(notes.authorId, authorId));
}

export async function deleteNotesOf(queries: Queries, authorId: string): Promise<void> {
  await queries.delete(notes).where(eq(notes.authorId, authorId));
}
