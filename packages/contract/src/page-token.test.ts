import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import { AppError } from "./app-error.ts";
import { decodePageToken, encodePageToken, PAGE_TOKEN_TTL_MS, pageSizeOf } from "./page-token.ts";

const cursor = z.tuple([z.int(), z.string()]);
const page = { list: "x.v1.XService/ListThings", query: { filter: 'name = "ä"', show_deleted: false }, now: 1_000 };
const token = encodePageToken({ ...page, cursor: [42, "0192-ü"] });

function refused(decode: () => unknown): void {
  assert.throws(decode, (error) => error instanceof AppError && error.reason === "INVALID_PAGE_TOKEN");
}

describe("a page token", () => {
  test("gives its cursor back, whatever the order of the query's keys", () => {
    const query = { show_deleted: false, filter: 'name = "ä"' };
    assert.deepEqual(decodePageToken({ ...page, query, token, cursor }), [42, "0192-ü"]);
  });

  test("that is empty means the first page", () => {
    assert.equal(decodePageToken({ ...page, token: "", cursor }), undefined);
  });

  test("keeps any cursor", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ unit: "grapheme" }), fc.integer())), fc.string(), (keys, list) => {
        const made = encodePageToken({ ...page, list, cursor: keys });
        const shape = z.array(z.union([z.string(), z.number()]));
        assert.deepEqual(decodePageToken({ ...page, list, token: made, cursor: shape }), keys);
      }),
    );
  });

  test("is refused by another list, another filter and another order", () => {
    refused(() => decodePageToken({ ...page, list: "x.v1.XService/ListOthers", token, cursor }));
    refused(() => decodePageToken({ ...page, query: { ...page.query, filter: "" }, token, cursor }));
    refused(() => decodePageToken({ ...page, query: { ...page.query, order_by: "name" }, token, cursor }));
    refused(() => decodePageToken({ ...page, query: {}, token, cursor }));
  });

  test("lives for a day", () => {
    const later = { ...page, token, cursor };
    assert.ok(decodePageToken({ ...later, now: page.now + PAGE_TOKEN_TTL_MS }));
    refused(() => decodePageToken({ ...later, now: page.now + PAGE_TOKEN_TTL_MS + 1 }));
  });

  test("with any character changed is refused", () => {
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(..."abcXYZ019-_=+/ é\0"), (at, character) => {
        fc.pre(token[at] !== character);
        const damaged = token.slice(0, at) + character + token.slice(at + 1);
        // The last character carries bits that no byte uses: such a change is none.
        fc.pre(at < token.length - 1);
        refused(() => decodePageToken({ ...page, token: damaged, cursor }));
      }),
    );
  });

  test("of nonsense is refused", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 200 }), (nonsense) => {
        refused(() => decodePageToken({ ...page, token: nonsense, cursor }));
      }),
    );
    refused(() => decodePageToken({ ...page, token: "A".repeat(10_000), cursor }));
  });

  test("whose cursor has another shape is refused", () => {
    const other = encodePageToken({ ...page, cursor: ["42", "x"] });
    refused(() => decodePageToken({ ...page, token: other, cursor }));
  });
});

describe("a page size", () => {
  const sizes = { default: 50, max: 1000 };

  test("unset is the default, too large is the largest", () => {
    assert.deepEqual(
      [0, 1, 1000, 1001].map((size) => pageSizeOf(size, sizes)),
      [50, 1, 1000, 1000],
    );
  });

  test("below zero is refused, and the field is named", () => {
    assert.throws(
      () => pageSizeOf(-1, sizes),
      (error) =>
        error instanceof AppError && error.reason === "INVALID_FIELD" && error.violations[0]?.field === "page_size",
    );
  });
});
