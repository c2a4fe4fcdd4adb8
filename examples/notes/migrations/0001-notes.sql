CREATE TABLE notes.notes (
  note_id uuid PRIMARY KEY,
  text text NOT NULL,
  author_id uuid NOT NULL,
  -- A copy of Identity's, kept current by its UserUpdated.
  author_name text NOT NULL,
  create_time timestamptz(3) NOT NULL
);

CREATE INDEX notes_author ON notes.notes (author_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON notes.notes TO notes;
