import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { AuthorizationModelSchema, type ObjectTypeSchema } from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import { formatFault, mergeModels } from "./merge-models.ts";
import { rolesOf, takes } from "./model.ts";

const contribution = (service: string, ...types: MessageInitShape<typeof ObjectTypeSchema>[]) => ({
  service,
  model: create(AuthorizationModelSchema, { types }),
});
const authz = contribution(
  "authz",
  { name: "user" },
  { name: "platform", relations: [{ name: "admin", subjects: ["user"], role: true }] },
);
const faultsOf = (...others: ReturnType<typeof contribution>[]) =>
  mergeModels([authz, ...others]).refused.map(formatFault);

test("a service brings a type and adds permissions to another's", () => {
  const notes = contribution(
    "notes",
    {
      name: "note",
      relations: [{ name: "owner", subjects: ["user"] }],
      permissions: [{ name: "edit", anyOf: ["owner", "platform:switchboard#manage_notes"] }],
    },
    { name: "platform", permissions: [{ name: "manage_notes", anyOf: ["admin"] }] },
  );
  const { model, refused, unresolved } = mergeModels([authz, notes]);
  assert.deepEqual(refused, []);
  assert.deepEqual(unresolved, []);
  assert.equal(model.types.get("note")?.owner, "notes");
  assert.equal(model.types.get("platform")?.owner, "authz");
  assert.equal(model.types.get("platform")?.permissions.get("manage_notes")?.declaredBy, "notes");
  assert.deepEqual(rolesOf(model), [{ type: "platform", role: "admin" }]);
  const object = { type: "note", id: "n" };
  assert.ok(takes(model, { object, relation: "owner", subject: { type: "user", id: "a", relation: "" } }));
  assert.ok(!takes(model, { object, relation: "owner", subject: { type: "service", id: "a", relation: "" } }));
  assert.ok(!takes(model, { object, relation: "edit", subject: { type: "user", id: "a", relation: "" } }));
});

test("nobody changes what another declares, and a refused model leaves the others in force", () => {
  const first = contribution("first", { name: "platform", permissions: [{ name: "see", anyOf: ["admin"] }] });
  const second = contribution("second", {
    name: "platform",
    permissions: [{ name: "own" }, { name: "see", anyOf: ["service:second"] }],
  });
  const { model, refused } = mergeModels([authz, first, second]);
  assert.deepEqual(refused.map(formatFault), [
    'second: platform.see: is declared by "first" and cannot be changed; choose another name',
  ]);
  assert.equal(model.types.get("platform")?.permissions.get("see")?.declaredBy, "first");
  assert.equal(model.types.get("platform")?.permissions.has("own"), false);
});

test("relations come from the type's owner only, however the services come in", () => {
  const owner = contribution("team", { name: "team", relations: [{ name: "member", subjects: ["user"] }] });
  const guest = contribution("notes", { name: "team", permissions: [{ name: "see_notes", anyOf: ["member"] }] });
  for (const order of [
    [owner, guest],
    [guest, owner],
  ]) {
    const { model, refused, unresolved } = mergeModels([authz, ...order]);
    assert.deepEqual([...refused, ...unresolved], []);
    assert.equal(model.types.get("team")?.owner, "team");
  }
  const thief = contribution("thief", { name: "team", relations: [{ name: "boss", subjects: ["user"] }] });
  assert.deepEqual(faultsOf(owner, thief), [
    'thief: team.boss: adds a relation to a type of "team"; only permissions can be added to it',
  ]);
  const forger = contribution("forger", { name: "user", relations: [{ name: "friend", subjects: ["user"] }] });
  assert.deepEqual(faultsOf(forger), [
    'forger: user.friend: adds a relation to a type of "authz"; only permissions can be added to it',
  ]);
});

test("every fault is named at once, with its place", () => {
  const broken = contribution("broken", {
    name: "note",
    relations: [
      { name: "Owner", subjects: ["user"] },
      { name: "reader", subjects: ["user#", "user"] },
      { name: "nobody" },
      { name: "self", subjects: ["user"] },
    ],
    permissions: [
      { name: "reader", anyOf: [] },
      { name: "view", anyOf: ["reader", "raeder", "parent->view", "a->b->c", "self", "user:"] },
    ],
  });
  assert.deepEqual(faultsOf(broken), [
    "broken: note.Owner: is no name; use lower case, digits and underscores, not `self`",
    "broken: note.self: is no name; use lower case, digits and underscores, not `self`",
    "broken: note.reader: is declared twice",
    'broken: note.reader: "user#" is neither "type" nor "type#relation"',
    "broken: note.nobody: takes no subjects; list at least one type",
    'broken: note.view: "raeder" names "raeder", which type "note" does not have',
    'broken: note.view: "parent->view" names "parent", which type "note" does not have',
    'broken: note.view: "a->b->c" has none of the forms that any_of takes',
    "broken: note.view: `self` stands on type `user` only",
    'broken: note.view: "user:" has none of the forms that any_of takes',
  ]);
});

test("what another service may still declare is told, and gives the permission to nobody", () => {
  const early = contribution("early", { name: "platform", permissions: [{ name: "a", anyOf: ["b", "group:g#boss"] }] });
  const late = contribution("late", { name: "platform", permissions: [{ name: "b", anyOf: ["admin"] }] });
  assert.deepEqual(mergeModels([authz, early]).unresolved.map(formatFault), [
    'early: platform.a: "b" names what no registered contract declares; it gives the permission to nobody',
    'early: platform.a: "group:g#boss" names what no registered contract declares; it gives the permission to nobody',
  ]);
  assert.equal(mergeModels([authz, early, late]).unresolved.length, 1);
});
