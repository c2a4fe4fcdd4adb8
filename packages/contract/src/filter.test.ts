import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UserStateSchema } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import fc from "fast-check";
import { AppError } from "./app-error.ts";
import { parseFilter } from "./filter.ts";

const fields = {
  email: { type: "string" },
  state: { type: "enum", values: UserStateSchema },
  create_time: { type: "timestamp" },
  size: { type: "int" },
} as const;

const exact = { openStart: false, openEnd: false };
const parse = (filter: string) => parseFilter(filter, fields);

/** Where a filter is refused, counted from 1, and what the caller reads. */
function refusal(filter: string): [position: number, message: string] {
  try {
    parse(filter);
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.reason, "INVALID_FILTER");
    return [Number(error.metadata.position), error.message];
  }
  return assert.fail(`"${filter}" was taken`);
}

describe("a filter", () => {
  test("that is empty holds for everything", () => {
    assert.deepEqual(parse(""), []);
    assert.deepEqual(parse("  \n "), []);
  });

  test("joins comparisons of every type by AND", () => {
    assert.deepEqual(
      parse('state = DISABLED AND email != "a b" AND create_time>=2026-01-31T12:00:00.5+02:00 AND size<-3'),
      [
        { field: "state", type: "enum", operator: "=", value: 2, name: "DISABLED" },
        { field: "email", type: "string", operator: "!=", pattern: { ...exact, text: "a b" } },
        { field: "create_time", type: "timestamp", operator: ">=", value: "2026-01-31T10:00:00.5Z" },
        { field: "size", type: "int", operator: "<", value: -3n },
      ],
    );
  });

  test("reads a time with any offset as UTC, to the nanosecond", () => {
    const utc = (time: string) => {
      const [first] = parse(`create_time > "${time}"`);
      return first?.type === "timestamp" ? first.value : undefined;
    };
    assert.equal(utc("2026-01-01T00:30:00+23:59"), "2025-12-31T00:31:00Z");
    assert.equal(utc("2026-01-01T00:30:00.123456789-23:59"), "2026-01-02T00:29:00.123456789Z");
    assert.equal(utc("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
    assert.equal(utc("9999-12-31T23:59:59.9+00:00"), "9999-12-31T23:59:59.9Z");
  });

  test("takes an enum's value with and without its prefix", () => {
    assert.deepEqual(parse("state = USER_STATE_DISABLED"), parse("state=DISABLED"));
  });

  test("takes a star at the ends of a text as anything, and an escaped one as itself", () => {
    const pattern = (value: string) => {
      const [first] = parse(`email = ${value}`);
      return first?.type === "string" && "pattern" in first ? first.pattern : undefined;
    };
    assert.deepEqual(pattern('"*@x.org"'), { text: "@x.org", openStart: true, openEnd: false });
    assert.deepEqual(pattern("ada*"), { text: "ada", openStart: false, openEnd: true });
    assert.deepEqual(pattern("'*ada*'"), { text: "ada", openStart: true, openEnd: true });
    assert.deepEqual(pattern("*"), { text: "", openStart: true, openEnd: true });
    assert.deepEqual(pattern('"\\*ada\\*"'), { ...exact, text: "*ada*" });
    assert.deepEqual(pattern('"😀*"'), { text: "😀", openStart: false, openEnd: true });
  });

  test("reads `:` on a text as: has it somewhere", () => {
    assert.deepEqual(parse("email:ada"), parse('email = "*ada*"'));
  });

  test("keeps every text that is put in quotes", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 500 }).filter((text) => !text.includes("\0")),
        (text) => {
          const quoted = `"${text.replace(/[\\"*]/g, "\\$&")}"`;
          assert.deepEqual(parse(`email = ${quoted}`), [
            { field: "email", type: "string", operator: "=", pattern: { ...exact, text } },
          ]);
        },
      ),
    );
  });

  test("of any nonsense is refused with a place inside of it, never with another error", () => {
    const word = fc.constantFrom(
      "email",
      "state",
      "size",
      "AND",
      "OR",
      "=",
      "<",
      ":",
      '"',
      "'",
      "\\",
      "*",
      "(",
      "9",
      " ",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join("")),
        ),
        (filter) => {
          try {
            parse(filter);
          } catch (error) {
            assert.ok(error instanceof AppError && error.reason === "INVALID_FILTER");
            const position = Number(error.metadata.position);
            assert.ok(position >= 1 && position <= filter.length + 1);
          }
        },
      ),
    );
  });

  const faults: readonly [filter: string, position: number, mend: RegExp][] = [
    ["phone = 1", 1, /use one of email, state, create_time, size/],
    ["constructor = 1", 1, /use one of email/],
    ['"email" = 1', 1, /a field was expected/],
    ["email", 6, /email = "…"/],
    ["email =", 8, /a value was expected after email =/],
    ["email = = x", 9, /a value was expected/],
    ["email = a OR email = b", 11, /only AND/],
    ["email = a and email = b", 11, /AND was expected/],
    ["email = a email = b", 11, /AND was expected/],
    ["email = a AND", 14, /add a comparison/],
    ["(email = a)", 1, /no parentheses/],
    ['email = "a', 9, /end the value with "/],
    ['email = "a*b"', 9, /ends of a value only/],
    ['email = "a\0b"', 11, /U\+0000/],
    ["state = SLEEPING", 9, /use one of ACTIVE, DISABLED/],
    ["state = UNSPECIFIED", 9, /use one of ACTIVE, DISABLED/],
    ["state < ACTIVE", 7, /= and != only/],
    ["create_time : 2026-01-01T00:00:00Z", 13, /= != < <= > >= only/],
    ["create_time = 2026-02-30T00:00:00Z", 15, /RFC 3339/],
    ["create_time = 2026-01-01", 15, /RFC 3339/],
    ["create_time = 0000-01-01T00:00:00Z", 15, /years 1 to 9999/],
    ['create_time > "0001-01-01T00:00:00+23:59"', 15, /years 1 to 9999/],
    ['create_time > "9999-12-31T23:59:59-00:01"', 15, /years 1 to 9999/],
    ["create_time = 2026-01-01T00:00:00+24:00", 15, /RFC 3339/],
    ["create_time = 2026-01-01T00:00:00.1234567890Z", 15, /at most 9 digits/],
    ["size = 1.5", 8, /whole number/],
    ["size = 9223372036854775808", 8, /64 bits/],
    [`email = "${"x".repeat(2000)}"`, 2001, /at most 2000 characters/],
    [Array(21).fill("size=1").join(" AND "), 221, /at most 20 comparisons/],
  ];
  for (const [filter, position, mend] of faults) {
    test(`is refused at its fault: ${filter.slice(0, 40).replace("\0", "NUL")}`, () => {
      const [at, message] = refusal(filter);
      assert.equal(at, position);
      assert.match(message, mend);
    });
  }

  test("may have 20 comparisons", () => {
    assert.equal(parse(Array(20).fill("size=1").join(" AND ")).length, 20);
  });
});
