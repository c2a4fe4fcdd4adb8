/** What the neighbour `notes` declares in these tests: parents, groups, roles, fixed subjects, and a permission that goes round. */
import type { ObjectType } from "./neighbour.fake.ts";

export const NOTES: readonly ObjectType[] = [
  {
    name: "folder",
    relations: [
      { name: "parent", subjects: ["folder"] },
      { name: "viewer", subjects: ["user", "group#member"] },
    ],
    permissions: [{ name: "view", anyOf: ["viewer", "parent->view"] }],
  },
  {
    name: "note",
    relations: [
      { name: "folder", subjects: ["folder"] },
      { name: "owner", subjects: ["user"] },
      { name: "editor", subjects: ["user", "group#member"], role: true },
    ],
    permissions: [
      { name: "edit", anyOf: ["owner", "editor"] },
      { name: "view", anyOf: ["edit", "folder->view", "platform:switchboard#read_notes", "service:indexer", "round"] },
      { name: "round", anyOf: ["view"] },
      { name: "nobody" },
    ],
  },
  { name: "platform", permissions: [{ name: "read_notes", anyOf: ["auditor"] }] },
];
