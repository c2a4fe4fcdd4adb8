import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceNameOf } from "./service-name.ts";

for (const [packageName, service] of [
  ["switchboard.identity.v1", "identity"],
  ["acme.identity.v1", "identity"],
  ["acme.notes.v2beta3", "notes"],
  ["acme.notes.v1alpha", "notes"],
  ["acme.notes", "notes"],
  ["notes", "notes"],
  ["v1", "v1"],
  ["", ""],
] as const) {
  test(`the service of package "${packageName}" is "${service}"`, () => {
    assert.equal(serviceNameOf(packageName), service);
  });
}
