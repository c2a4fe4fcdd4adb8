import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { AppError } from "@switchboard/contract/app-error";
import { AuthorizationModelSchema } from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import fc from "fast-check";
import { Fixpoint } from "../../test/fixpoint.ts";
import { MemoryGraph, relationship } from "../../test/memory-graph.ts";
import { check, explain } from "./check.ts";
import { CHECK_LIMITS, LIST_LIMITS } from "./limits.ts";
import { listObjects } from "./list-objects.ts";
import { listSubjects } from "./list-subjects.ts";
import { mergeModels } from "./merge-models.ts";
import { formatObject, type ObjectRef, parseObject } from "./reference.ts";

const { model } = mergeModels([
  {
    service: "authz",
    model: create(AuthorizationModelSchema, {
      types: [
        { name: "user", permissions: [{ name: "view", anyOf: ["self", "platform:switchboard#admin"] }] },
        { name: "service" },
        { name: "group", relations: [{ name: "member", subjects: ["user", "group#member"] }] },
        { name: "platform", relations: [{ name: "admin", subjects: ["user", "group#member"], role: true }] },
        {
          name: "folder",
          relations: [
            { name: "parent", subjects: ["folder"] },
            { name: "viewer", subjects: ["user", "group#member", "folder#see"] },
          ],
          permissions: [{ name: "see", anyOf: ["viewer", "parent->see", "platform:switchboard#admin"] }],
        },
        {
          name: "note",
          relations: [
            { name: "folder", subjects: ["folder"] },
            { name: "owner", subjects: ["user", "service"] },
          ],
          permissions: [
            { name: "edit", anyOf: ["owner", "service:auth", "owner->view"] },
            { name: "read", anyOf: ["edit", "folder->see", "loop"] },
            { name: "loop", anyOf: ["read", "loop"] },
            { name: "nobody" },
          ],
        },
      ],
    }),
  },
]);

function object(text: string): ObjectRef {
  const parsed = parseObject(text);
  if (parsed === undefined) throw new Error(`no object: ${text}`);
  return parsed;
}

function ask(subject: string, permission: string, on: string) {
  return { subject: object(subject), permission, object: object(on) };
}

const graphOf = (...texts: string[]) => new MemoryGraph(texts.map(relationship));
const isTooDeep = (error: unknown) => error instanceof AppError && error.reason === "GRAPH_TOO_DEEP";

test("nobody holds what nobody was given", async () => {
  const graph = graphOf();
  for (const permission of ["edit", "read", "nobody", "owner"]) {
    assert.equal(await check(model, graph, ask("user:a", permission, "note:n"), CHECK_LIMITS), false);
  }
});

test("a direct relationship, a group in a group, a parent's parent, a fixed object, a fixed subject, oneself", async () => {
  const graph = graphOf(
    "note:n#owner@user:a",
    "note:n#folder@folder:inner",
    "folder:inner#parent@folder:outer",
    "folder:outer#viewer@group:all#member",
    "group:all#member@group:some#member",
    "group:some#member@user:b",
    "platform:switchboard#admin@user:root",
  );
  const holds = (subject: string, permission: string, on: string) =>
    check(model, graph, ask(subject, permission, on), CHECK_LIMITS);
  assert.equal(await holds("user:a", "edit", "note:n"), true);
  assert.equal(await holds("user:b", "read", "note:n"), true);
  assert.equal(await holds("user:b", "edit", "note:n"), false);
  assert.equal(await holds("user:root", "read", "note:n"), true);
  assert.equal(await holds("service:auth", "edit", "note:other"), true);
  assert.equal(await holds("service:audit", "edit", "note:other"), false);
  assert.equal(await holds("user:a", "view", "user:a"), true);
  assert.equal(await holds("user:a", "view", "user:b"), false);
  assert.equal(await holds("user:a", "owner", "note:n"), true);
});

test("a check of an administrator takes one read, through a group two", async () => {
  const graph = graphOf(
    "platform:switchboard#admin@user:root",
    "platform:switchboard#admin@group:ops#member",
    "group:ops#member@user:a",
  );
  assert.equal(await check(model, graph, ask("user:root", "view", "user:x"), CHECK_LIMITS), true);
  assert.equal(graph.reads, 1);
  assert.equal(await check(model, graph, ask("user:a", "view", "user:x"), CHECK_LIMITS), true);
  assert.equal(graph.reads, 3);
});

test("a cycle of groups and of permissions gives nothing and ends", async () => {
  const graph = graphOf(
    "group:a#member@group:b#member",
    "group:b#member@group:a#member",
    "platform:switchboard#admin@group:a#member",
    "folder:f#parent@folder:f",
    "folder:f#viewer@folder:f#see",
    "note:n#folder@folder:f",
  );
  assert.equal(await check(model, graph, ask("user:x", "read", "note:n"), CHECK_LIMITS), false);
  assert.deepEqual(
    await listSubjects(
      model,
      graph,
      { object: object("note:n"), permission: "read", subjectType: "user" },
      LIST_LIMITS,
    ),
    [],
  );
});

test("a chain as deep as the limit is followed, a deeper one is an error both ways", async () => {
  const chain = (length: number) =>
    graphOf(
      "folder:f#viewer@group:g1#member",
      ...Array.from({ length: length - 1 }, (_, i) => `group:g${i + 1}#member@group:g${i + 2}#member`),
      `group:g${length}#member@user:a`,
    );
  const longest = CHECK_LIMITS.depth - 1;
  const question = ask("user:a", "see", "folder:f");
  const query = { subject: question.subject, permission: "see", objectType: "folder" };
  assert.equal(await check(model, chain(longest), question, CHECK_LIMITS), true);
  // The list looks for folders beneath the folder too: one relationship more.
  assert.deepEqual((await listObjects(model, chain(longest - 1), query, LIST_LIMITS)).ids, ["f"]);
  await assert.rejects(check(model, chain(longest + 1), question, CHECK_LIMITS), isTooDeep);
  await assert.rejects(check(model, chain(longest + 1), ask("user:b", "see", "folder:f"), CHECK_LIMITS), isTooDeep);
  await assert.rejects(listObjects(model, chain(longest + 1), query, LIST_LIMITS), isTooDeep);
});

test("more sets than the limit are an error, never a no", async () => {
  const graph = graphOf(...Array.from({ length: 10_001 }, (_, i) => `folder:f#viewer@group:g${i}#member`));
  await assert.rejects(check(model, graph, ask("user:a", "see", "folder:f"), CHECK_LIMITS), isTooDeep);
  await assert.rejects(explain(model, graph, ask("user:a", "see", "folder:f"), CHECK_LIMITS), isTooDeep);
});

test("a list longer than its limit is an error, never a part of it", async () => {
  const limits = { depth: 32, nodes: 50 };
  const graph = graphOf(...Array.from({ length: 60 }, (_, i) => `folder:f${i}#viewer@user:a`));
  const wide = graphOf(...Array.from({ length: 60 }, (_, i) => `folder:f#viewer@user:u${i}`));
  const objects = { subject: object("user:a"), permission: "see", objectType: "folder" };
  const subjects = { object: object("folder:f"), permission: "see", subjectType: "user" };
  await assert.rejects(listObjects(model, graph, objects, limits), isTooDeep);
  await assert.rejects(listSubjects(model, wide, subjects, limits), isTooDeep);
  assert.equal((await listSubjects(model, wide, subjects, LIST_LIMITS)).length, 60);
});

test("an administrator holds a permission on every object, and the list says so", async () => {
  const graph = graphOf("platform:switchboard#admin@user:root", "folder:f#parent@folder:g", "note:n#folder@folder:f");
  const query = { subject: object("user:root"), permission: "see", objectType: "folder" };
  assert.deepEqual(await listObjects(model, graph, query, LIST_LIMITS), { ids: ["f", "g"], all: true });
  const notes = { ...query, permission: "read", objectType: "note" };
  assert.deepEqual(await listObjects(model, graph, notes, LIST_LIMITS), { ids: ["n"], all: false });
});

test("a relationship that the model does not take any more counts for nothing", async () => {
  const graph = graphOf("note:n#owner@group:g#member", "group:g#member@user:a", "note:n#folder@user:a");
  assert.equal(await check(model, graph, ask("user:a", "read", "note:n"), CHECK_LIMITS), false);
  const query = { subject: object("user:a"), permission: "read", objectType: "note" };
  assert.deepEqual(await listObjects(model, graph, query, LIST_LIMITS), { ids: [], all: false });
});

test("the explanation of a yes is the shortest way, of a no what is missing", async () => {
  const graph = graphOf(
    "note:n#folder@folder:f",
    "folder:f#viewer@group:g#member",
    "group:g#member@user:a",
    "note:n#owner@user:o",
  );
  assert.deepEqual(await explain(model, graph, ask("user:a", "read", "note:n"), CHECK_LIMITS), {
    allowed: true,
    path: [
      "note:n#read",
      "folder:f#see: relationship note:n#folder@folder:f",
      'folder:f#viewer: any_of "viewer"',
      "group:g#member: relationship folder:f#viewer@group:g#member",
      "user:a: relationship group:g#member@user:a",
    ],
    missing: [],
  });
  const refusal = await explain(model, graph, ask("user:b", "read", "note:n"), CHECK_LIMITS);
  assert.equal(refusal.allowed, false);
  assert.deepEqual(refusal.path, []);
  assert.deepEqual([...refusal.missing].sort(), [
    "no relationship folder:f#parent@…",
    "no relationship folder:f#viewer@user:b",
    "no relationship group:g#member@user:b",
    "no relationship note:n#owner@user:b",
    "no relationship platform:switchboard#admin@user:b",
    'note:n#edit: any_of "service:auth" is service:auth alone',
    'user:o#view: any_of "self" is user:o alone',
  ]);
});

const ids = ["1", "2", "3"];
const types = ["user", "service", "group", "folder", "note"];
const universe = [
  ...types.flatMap((type) => ids.map((id) => ({ type, id }))),
  { type: "platform", id: "switchboard" },
  { type: "service", id: "auth" },
];
const forms = [...model.types.values()].flatMap((type) =>
  [...type.relations.values()].flatMap((relation) =>
    relation.subjects.map((form) => ({ type: type.name, relation: relation.name, form })),
  ),
);
const anyRelationship = fc
  .record({ form: fc.constantFrom(...forms), object: fc.constantFrom(...ids), subject: fc.constantFrom(...ids) })
  .map(({ form: { type, relation, form }, object: id, subject }) => ({
    object: { type, id: type === "platform" ? "switchboard" : id },
    relation,
    subject: { type: form.type, id: subject, relation: form.relation },
  }));

test("Check, ListObjects and ListSubjects agree with the fixpoint on random graphs", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyRelationship, { maxLength: 25 }), async (relationships) => {
      await compare(model, relationships);
    }),
    { numRuns: 100 },
  );
});

const anyTerm = fc.constantFrom(
  ...["r", "s", "p", "q", "r->p", "s->q", "r->r", "t:1#p", "t:2#r", "v:1#q", "u:1", "t:1"],
);
const anyForms = fc.uniqueArray(fc.constantFrom("u", "t", "v", "t#r", "t#p", "v#s", "v#q"), { minLength: 1 });
const anyType = fc.record({
  relations: fc.tuple(anyForms, anyForms).map(([r, s]) => [
    { name: "r", subjects: r },
    { name: "s", subjects: s },
  ]),
  permissions: fc.tuple(fc.array(anyTerm, { maxLength: 4 }), fc.array(anyTerm, { maxLength: 4 })).map(([p, q]) => [
    { name: "p", anyOf: p },
    { name: "q", anyOf: q },
  ]),
});
const anyRow = fc
  .tuple(
    fc.constantFrom("t", "v"),
    fc.constantFrom(...ids),
    fc.constantFrom("r", "s"),
    fc.constantFrom("u", "t", "v"),
    fc.constantFrom(...ids),
    fc.constantFrom("", "", "r", "s", "p", "q"),
  )
  .map(([type, id, relation, subjectType, subjectId, subjectRelation]) => ({
    object: { type, id },
    relation,
    subject: { type: subjectType, id: subjectId, relation: subjectRelation },
  }));

test("they agree on random models too, with stored relationships that the model does not take", async () => {
  await fc.assert(
    fc.asyncProperty(anyType, anyType, fc.array(anyRow, { maxLength: 25 }), async (t, v, relationships) => {
      const declared = create(AuthorizationModelSchema, {
        types: [{ name: "u" }, { name: "t", ...t }, { name: "v", ...v }],
      });
      const merged = mergeModels([{ service: "x", model: declared }]);
      assert.deepEqual(merged.refused, []);
      await compare(merged.model, relationships);
    }),
    { numRuns: 300 },
  );
});

async function compare(used: typeof model, relationships: readonly ReturnType<typeof relationship>[]): Promise<void> {
  const graph = new MemoryGraph(relationships);
  const all = [...universe, ...["u", "t", "v"].flatMap((type) => ids.map((id) => ({ type, id })))];
  const objects = all.filter(({ type }) => used.types.has(type));
  const truth = new Fixpoint(used, relationships, objects);
  for (const type of used.types.values()) {
    for (const name of [...type.relations.keys(), ...type.permissions.keys()]) {
      const ofType = objects.filter((it) => it.type === type.name);
      for (const on of ofType) {
        const holders = truth.holders(on, name);
        for (const subjectType of used.types.keys()) {
          const expected = [...holders].filter((it) => it.startsWith(`${subjectType}:`)).sort();
          const query = { object: on, permission: name, subjectType };
          const listed = await listSubjects(used, graph, query, LIST_LIMITS);
          assert.deepEqual(
            listed.map((id) => `${subjectType}:${id}`),
            expected,
          );
        }
        for (const subject of objects) {
          const question = { subject, permission: name, object: on };
          const expected = holders.has(formatObject(subject));
          assert.equal(await check(used, graph, question, CHECK_LIMITS), expected, JSON.stringify(question));
          assert.equal((await explain(used, graph, question, CHECK_LIMITS)).allowed, expected);
        }
      }
      for (const subject of objects) {
        const expected = ofType.filter((it) => truth.holders(it, name).has(formatObject(subject))).map(({ id }) => id);
        const query = { subject, permission: name, objectType: type.name };
        const { ids: listed, all: every } = await listObjects(used, graph, query, LIST_LIMITS);
        if (every) {
          const known = await graph.objectsOf(type.name, LIST_LIMITS.nodes);
          assert.deepEqual(expected.sort(), ofType.map(({ id }) => id).sort());
          assert.ok(known.every((id) => listed.includes(id)));
        } else {
          assert.deepEqual(listed, expected.sort());
        }
      }
    }
  }
}
