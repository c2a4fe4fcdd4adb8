/** A service that the platform has never heard of: found, permitted, audited and told of others' facts. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { NotesService } from "@switchboard/example-notes/gen/notes/v1/notes_service_pb";
import { AuditService, Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { startTestPlatform, type TestPlatform } from "@switchboard/testkit/platform";
import { adminToken, clientOf, outcomeOf, PROTOCOLS, signUp } from "./client.ts";

describe("a service of one's own beside the platform's", () => {
  let platform: TestPlatform;
  before(async () => {
    platform = await startTestPlatform({ args: ["--with", "examples/notes"] });
  });
  after(() => platform[Symbol.asyncDispose]());

  async function written(token: string, text: string): Promise<string> {
    const { note } = await clientOf(NotesService, platform.url, { token }).createNote({ text });
    return note?.noteId ?? assert.fail("no note came");
  }

  for (const protocol of PROTOCOLS) {
    test(`what one person writes another reads once it is shared, over ${protocol}`, async () => {
      const { url } = platform;
      const [ada, bob] = [await signUp(url, "Ada"), await signUp(url, "Bob")];
      const asAda = clientOf(NotesService, url, { token: ada.token, protocol });
      const asBob = clientOf(NotesService, url, { token: bob.token, protocol });
      const { note } = await asAda.createNote({ text: "on tables" });
      assert.equal(note?.authorName, "Ada");
      const { noteId } = note;
      assert.deepEqual((await asAda.getNote({ noteId })).note, note);

      const anybody = clientOf(NotesService, url, { protocol });
      assert.equal(await outcomeOf(anybody.getNote({ noteId })), "unauthenticated CREDENTIAL_MISSING");
      assert.equal(await outcomeOf(asBob.getNote({ noteId })), "permission_denied PERMISSION_DENIED");
      const share = { noteId, userId: bob.userId };
      assert.equal(await outcomeOf(asBob.shareNote(share)), "permission_denied PERMISSION_DENIED");

      await asAda.shareNote(share);
      await eventually(async () => assert.deepEqual((await asBob.getNote({ noteId })).note, note), { withinMs: 1_000 });
    });
  }

  test("a rename in Identity reaches the notes of whom it renamed", async () => {
    const { url } = platform;
    const { token } = await signUp(url, "Ada");
    const noteId = await written(token, "signed");
    const identity = clientOf(IdentityService, url, { token });
    await identity.updateUser({
      user: { userId: "me", displayName: "Countess Ada" },
      updateMask: { paths: ["display_name"] },
    });
    await eventually(async () => {
      const { note } = await clientOf(NotesService, url, { token }).getNote({ noteId });
      assert.equal(note?.authorName, "Countess Ada");
    });
  });

  test("a person who is deleted takes their notes along", async () => {
    const { url } = platform;
    const [ada, bob] = [await signUp(url, "Ada"), await signUp(url, "Bob")];
    const noteId = await written(ada.token, "not for ever");
    await clientOf(NotesService, url, { token: ada.token }).shareNote({ noteId, userId: bob.userId });
    await clientOf(IdentityService, url, { token: await adminToken(url) }).deleteUser({ userId: ada.userId });
    await eventually(async () => {
      const reading = clientOf(NotesService, url, { token: bob.token }).getNote({ noteId });
      assert.equal(await outcomeOf(reading), "not_found NOT_FOUND");
    });
  });

  test("the audit log has the call, its fact and the refusal", async () => {
    const { url } = platform;
    const [ada, eve] = [await signUp(url, "Ada"), await signUp(url, "Eve")];
    const noteId = await written(ada.token, "for the record");
    await outcomeOf(clientOf(NotesService, url, { token: eve.token }).getNote({ noteId }));
    const log = clientOf(AuditService, url, { token: await adminToken(url) });
    const { ALLOWED, DENIED } = Outcome;
    const expected = [
      { action: "notes.v1.NoteCreated", actor: `user:${ada.userId}`, outcome: ALLOWED },
      { action: "notes.v1.NotesService/CreateNote", actor: `user:${ada.userId}`, outcome: ALLOWED },
      { action: "notes.v1.NotesService/GetNote", actor: `user:${eve.userId}`, outcome: DENIED },
      { action: "switchboard.authz.v1.AuthzService/WriteRelationships", actor: "service:notes", outcome: ALLOWED },
    ];
    await eventually(
      async () => {
        const { events } = await log.listEvents({ filter: `object = "note:${noteId}"`, pageSize: 100 });
        const seen = events.map(({ action, actor, outcome }) => ({ action, actor, outcome }));
        assert.deepEqual(
          seen.toSorted((one, other) => one.action.localeCompare(other.action)),
          expected,
        );
      },
      { withinMs: 2_000 },
    );
  });
});
