import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { UserDeletedSchema, UserUpdatedSchema } from "@switchboard/gen/switchboard/identity/v1/identity_events_pb";
import { refused } from "@switchboard/testkit/refused";
import { NoteCreatedSchema, NoteSharedSchema } from "../gen/notes/v1/notes_events_pb.ts";
import { fact, type NotesUnderTest, startNotes } from "./notes-under-test.ts";

let notes: NotesUnderTest;
before(async () => {
  notes = await startNotes();
});
after(() => notes[Symbol.asyncDispose]());

/** A person whom Identity knows, and their client. */
function person(name: string) {
  const userId = newId();
  notes.neighbours.names.set(userId, name);
  return { userId, subject: `user:${userId}`, ...notes.as(`user:${userId}`) };
}

type Person = ReturnType<typeof person>;

async function written(author: Person, text = "the engine weaves algebra") {
  const { note } = await author.createNote({ text });
  return note ?? assert.fail();
}

async function createdBy({ userId }: Person) {
  return (await notes.facts(NoteCreatedSchema)).filter(({ authorId }) => authorId === userId);
}

describe("CreateNote", () => {
  test("makes a note with the name that Identity gives its author, whom Authz then knows as the owner", async () => {
    const ada = person("Ada");
    const note = await written(ada, "on tables");
    assert.equal(note.text, "on tables");
    assert.equal(note.authorId, ada.userId);
    assert.equal(note.authorName, "Ada");
    assert.deepEqual((await ada.getNote({ noteId: note.noteId })).note, note);
    assert.ok(notes.neighbours.relationships.includes(`note:${note.noteId}#owner@${ada.subject}`));
    assert.deepEqual(
      (await createdBy(ada)).map(({ noteId }) => noteId),
      [note.noteId],
    );
  });

  test("gives a repeated request_id one note, one owner and one fact", async () => {
    const ada = person("Ada");
    const request = { text: "once", requestId: newId() };
    const [first, second] = await Promise.all([ada.createNote(request), ada.createNote(request)]);
    assert.deepEqual(second, first);
    assert.deepEqual(await ada.createNote(request), first);
    assert.equal((await createdBy(ada)).length, 1);
    const owned = notes.neighbours.relationships.filter((relationship) => relationship.endsWith(ada.subject));
    assert.equal(owned.length, 1);
    await refused("REQUEST_ID_REUSED", ada.createNote({ ...request, text: "twice" }));
  });

  for (const [what, text] of [
    ["no text", ""],
    ["10,001 characters", "x".repeat(10_001)],
  ] as const) {
    test(`refuses ${what}, naming the field`, async () => {
      assert.deepEqual((await refused("INVALID_FIELD", person("Ada").createNote({ text }))).fields, ["text"]);
    });
  }

  test("is for people", async () => {
    await refused("PERMISSION_DENIED", notes.as("service:audit").createNote({ text: "by nobody" }));
  });

  test("leaves nothing half done where Authz is away, and can be repeated", async () => {
    const ada = person("Ada");
    const request = { text: "later", requestId: newId() };
    notes.neighbours.authzIsAway = true;
    try {
      await refused("SERVICE_UNAVAILABLE", ada.createNote(request));
    } finally {
      notes.neighbours.authzIsAway = false;
    }
    assert.deepEqual(await createdBy(ada), []);
    assert.equal((await ada.createNote(request)).note?.text, "later");
    assert.equal((await createdBy(ada)).length, 1);
  });
});

describe("GetNote", () => {
  test("asks Authz about this note and this caller, and refuses whom it does not name", async () => {
    const [ada, eve] = [person("Ada"), person("Eve")];
    const { noteId } = await written(ada);
    await refused("PERMISSION_DENIED", eve.getNote({ noteId }));
    assert.equal(notes.neighbours.questions.at(-1), `${eve.subject} view note:${noteId}`);
  });

  test("does not say whether a note is there to those who may not view it", async () => {
    const eve = person("Eve");
    const there = await refused("PERMISSION_DENIED", eve.getNote({ noteId: (await written(person("Ada"))).noteId }));
    const nowhere = await refused("PERMISSION_DENIED", eve.getNote({ noteId: newId() }));
    const withoutId = (message: string) => message.replace(/note:\S+/, "");
    assert.equal(withoutId(nowhere.rawMessage), withoutId(there.rawMessage));
  });

  test("lets nobody in while Authz is away", async () => {
    const ada = person("Ada");
    const { noteId } = await written(ada);
    notes.neighbours.authzIsAway = true;
    try {
      await refused("AUTHZ_UNAVAILABLE", ada.getNote({ noteId }));
    } finally {
      notes.neighbours.authzIsAway = false;
    }
  });
});

describe("ShareNote", () => {
  test("opens the note to one more person, who may not pass it on", async () => {
    const [ada, bob, eve] = [person("Ada"), person("Bob"), person("Eve")];
    const { noteId } = await written(ada);
    await ada.shareNote({ noteId, userId: bob.userId });
    assert.equal((await bob.getNote({ noteId })).note?.noteId, noteId);
    await refused("PERMISSION_DENIED", bob.shareNote({ noteId, userId: eve.userId }));
    await refused("PERMISSION_DENIED", eve.getNote({ noteId }));
    const shared = (await notes.facts(NoteSharedSchema)).filter((each) => each.noteId === noteId);
    assert.deepEqual(
      shared.map(({ userId }) => userId),
      [bob.userId],
    );
  });

  test("names the field that is no id", async () => {
    const ada = person("Ada");
    const { noteId } = await written(ada);
    const { fields } = await refused("INVALID_FIELD", ada.shareNote({ noteId, userId: "Bob" }));
    assert.deepEqual(fields, ["user_id"]);
  });
});

describe("what Identity tells", () => {
  test("renames an author on their notes, and on nobody else's", async () => {
    const [ada, bob] = [person("Ada"), person("Bob")];
    const [first, second, other] = [await written(ada), await written(ada), await written(bob)];
    await notes.hear(fact(UserUpdatedSchema, { userId: ada.userId, displayName: "Countess Ada" }, ada.userId));
    for (const { noteId } of [first, second]) {
      assert.equal((await ada.getNote({ noteId })).note?.authorName, "Countess Ada");
    }
    assert.equal((await bob.getNote({ noteId: other.noteId })).note?.authorName, "Bob");
  });

  test("has its effect once, even where it is delivered again later", async () => {
    const ada = person("Ada");
    const { noteId } = await written(ada);
    const renamed = (displayName: string) => fact(UserUpdatedSchema, { userId: ada.userId, displayName }, ada.userId);
    const [earlier, later] = [renamed("Ada Byron"), renamed("Ada Lovelace")];
    await notes.hear(earlier, later);
    await notes.hear(earlier);
    assert.equal((await ada.getNote({ noteId })).note?.authorName, "Ada Lovelace");
  });

  test("removes the notes of whom it deleted", async () => {
    const [ada, bob] = [person("Ada"), person("Bob")];
    const [gone, kept] = [await written(ada), await written(bob)];
    await ada.shareNote({ noteId: gone.noteId, userId: bob.userId });
    await notes.hear(fact(UserDeletedSchema, { userId: ada.userId }, ada.userId));
    await refused("NOT_FOUND", bob.getNote({ noteId: gone.noteId }));
    assert.equal((await bob.getNote({ noteId: kept.noteId })).note?.noteId, kept.noteId);
  });
});
