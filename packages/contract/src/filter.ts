/**
 * List filters, the part of AIP-160 that every list takes: comparisons joined by AND, over fields that the list declares.
 * `state = DISABLED AND email = "*@example.com" AND create_time >= "2026-01-01T00:00:00Z"`. It parses and checks types;
 * turning the comparisons into a query is the store's.
 */
import type { DescEnum } from "@bufbuild/protobuf";
import { z } from "zod";
import { AppError } from "./app-error.ts";
import { FilterSyntaxError, type Token, tokenize } from "./filter-token.ts";

/** The longest filter, in characters. */
export const MAX_FILTER_LENGTH = 2_000;
/** The most comparisons of a filter. */
export const MAX_FILTER_TERMS = 20;

export type FilterField =
  | { readonly type: "string" }
  | { readonly type: "enum"; readonly values: DescEnum }
  | { readonly type: "timestamp" }
  | { readonly type: "int" };

/** The fields that a list can be filtered by, by their proto names. */
export type FilterFields = Readonly<Record<string, FilterField>>;

export type EqualityOperator = "=" | "!=";
export type OrderOperator = EqualityOperator | "<" | "<=" | ">" | ">=";

/** A text to find, with the places that a `*` left open. `=` and `!=` only; `:` is `=` with both ends open. */
export interface TextPattern {
  readonly text: string;
  readonly openStart: boolean;
  readonly openEnd: boolean;
}

/** One comparison. All of a filter's comparisons must hold. */
export type Comparison<Name extends string = string> =
  | {
      readonly field: Name;
      readonly type: "string";
      readonly operator: EqualityOperator;
      readonly pattern: TextPattern;
    }
  | {
      readonly field: Name;
      readonly type: "string";
      readonly operator: "<" | "<=" | ">" | ">=";
      readonly value: string;
    }
  | {
      readonly field: Name;
      readonly type: "enum";
      readonly operator: EqualityOperator;
      readonly value: number;
      /** The value's name without the enum's prefix: "DISABLED". */
      readonly name: string;
    }
  /** The value is an RFC 3339 text in UTC ("…Z"), valid, within the years 1 to 9999, of at most 9 digits of a second. */
  | { readonly field: Name; readonly type: "timestamp"; readonly operator: OrderOperator; readonly value: string }
  /** Within 64 bits, signed. */
  | { readonly field: Name; readonly type: "int"; readonly operator: OrderOperator; readonly value: bigint };

/**
 * The comparisons of a filter; none for an empty one.
 * @throws AppError INVALID_FILTER with the character (counted from 1) where it stops to make sense, and the mend.
 */
export function parseFilter<Fields extends FilterFields>(
  filter: string,
  fields: Fields,
): readonly Comparison<keyof Fields & string>[] {
  try {
    return parse(filter, fields);
  } catch (fault) {
    if (!(fault instanceof FilterSyntaxError)) throw fault;
    const description = `${fault.message} (character ${fault.offset + 1})`;
    throw new AppError("INVALID_FILTER", `filter: ${description}`, {
      violations: [{ field: "filter", description }],
      metadata: { position: String(fault.offset + 1) },
    });
  }
}

function parse<Fields extends FilterFields>(filter: string, fields: Fields): Comparison<keyof Fields & string>[] {
  if (filter.length > MAX_FILTER_LENGTH) {
    throw new FilterSyntaxError(MAX_FILTER_LENGTH, `must have at most ${MAX_FILTER_LENGTH} characters`);
  }
  const tokens = tokenize(filter);
  const comparisons: Comparison<keyof Fields & string>[] = [];
  for (let at = 0; at < tokens.length; at += 4) {
    const [name, operator, value, joint] = [tokens[at], tokens[at + 1], tokens[at + 2], tokens[at + 3]];
    if (name === undefined) break;
    if (comparisons.length === MAX_FILTER_TERMS) {
      throw new FilterSyntaxError(name.offset, `must have at most ${MAX_FILTER_TERMS} comparisons`);
    }
    comparisons.push(comparison(name, operator, value, filter.length, fields));
    if (joint === undefined) break;
    if (joint.kind !== "word" || joint.text !== "AND") {
      throw new FilterSyntaxError(joint.offset, `"${joint.text}" where AND was expected; only AND joins comparisons`);
    }
    if (at + 4 === tokens.length) throw new FilterSyntaxError(filter.length, "ends after AND; add a comparison");
  }
  return comparisons;
}

function comparison<Fields extends FilterFields>(
  name: Token,
  operator: Token | undefined,
  value: Token | undefined,
  end: number,
  fields: Fields,
): Comparison<keyof Fields & string> {
  const names = Object.keys(fields).join(", ");
  if (name.kind !== "word") throw new FilterSyntaxError(name.offset, `a field was expected: one of ${names}`);
  const declared = Object.hasOwn(fields, name.text) ? fields[name.text] : undefined;
  if (declared === undefined) {
    throw new FilterSyntaxError(name.offset, `"${name.text}" is no field to filter by; use one of ${names}`);
  }
  if (operator?.kind !== "operator") {
    throw new FilterSyntaxError(
      operator?.offset ?? end,
      `a comparison was expected after ${name.text}: ${name.text} = "…"`,
    );
  }
  if (value === undefined || value.kind === "operator") {
    throw new FilterSyntaxError(value?.offset ?? end, `a value was expected after ${name.text} ${operator.text}`);
  }
  return typed(name.text as keyof Fields & string, declared, operator, value);
}

function typed<Name extends string>(
  field: Name,
  declared: FilterField,
  operator: Token,
  value: Token,
): Comparison<Name> {
  const { type } = declared;
  if (type === "string") return text(field, operator, value);
  if (type === "enum") {
    if (operator.text !== "=" && operator.text !== "!=") {
      throw new FilterSyntaxError(operator.offset, `${field} takes = and != only`);
    }
    return { field, type, operator: operator.text, ...enumValue(field, declared.values, value) };
  }
  if (operator.text === ":") throw new FilterSyntaxError(operator.offset, `${field} takes = != < <= > >= only`);
  const order = operator.text as OrderOperator;
  if (type === "int") return { field, type, operator: order, value: int64(field, value) };
  return { field, type, operator: order, value: utc(field, value) };
}

const timestamp = z.iso.datetime({ offset: true });
/** What of a time is the same with every offset, and the offset. */
const fractionAndOffset = /(?<fraction>\.\d+)?(?<offset>Z|[+-]\d\d:\d\d)$/;

/** A time as UTC: databases refuse offsets that RFC 3339 allows, and times that an offset moves out of the years. */
function utc(field: string, value: Token): string {
  const { fraction = "", offset = "" } = fractionAndOffset.exec(value.text)?.groups ?? {};
  if (!timestamp.safeParse(value.text).success) {
    throw new FilterSyntaxError(value.offset, `${field} takes a time as in "2026-01-31T12:00:00Z" (RFC 3339)`);
  }
  if (fraction.length > 10) throw new FilterSyntaxError(value.offset, `${field} takes at most 9 digits of a second`);
  const date = new Date(value.text.replace(fractionAndOffset, offset));
  const year = date.getUTCFullYear();
  if (year < 1 || year > 9999) throw new FilterSyntaxError(value.offset, `${field} takes the years 1 to 9999, in UTC`);
  return `${date.toISOString().slice(0, -".000Z".length)}${fraction}Z`;
}

function text<Name extends string>(field: Name, operator: Token, value: Token): Comparison<Name> {
  const type = "string";
  switch (operator.text) {
    case ":":
      return { field, type, operator: "=", pattern: { ...patternOf(value), openStart: true, openEnd: true } };
    case "=":
    case "!=":
      return { field, type, operator: operator.text, pattern: patternOf(value) };
    default:
      return { field, type, operator: operator.text as "<", value: value.text };
  }
}

/** A `*` at an end leaves that end open; elsewhere it would be taken for itself, so it is refused to be no surprise. */
function patternOf(value: Token): TextPattern {
  const [first, last] = [value.stars[0], value.stars.at(-1)];
  const openStart = first === 0;
  const openEnd = last !== undefined && last === value.text.length - 1;
  for (const star of value.stars) {
    if (star === 0 || star === value.text.length - 1) continue;
    throw new FilterSyntaxError(
      value.offset,
      'a "*" may stand at the ends of a value only; write "\\*" for the character',
    );
  }
  return { text: value.text.slice(openStart ? 1 : 0, openEnd ? -1 : undefined), openStart, openEnd };
}

function enumValue(field: string, values: DescEnum, value: Token): { value: number; name: string } {
  const known = values.values.filter((candidate) => candidate.number !== 0);
  const match = known.find((candidate) => candidate.localName === value.text || candidate.name === value.text);
  if (match !== undefined) return { value: match.number, name: match.localName };
  const names = known.map((candidate) => candidate.localName).join(", ");
  throw new FilterSyntaxError(value.offset, `"${value.text}" is no ${field}; use one of ${names}`);
}

function int64(field: string, value: Token): bigint {
  const number = /^-?\d{1,19}$/.test(value.text) ? BigInt(value.text) : undefined;
  if (number !== undefined && BigInt.asIntN(64, number) === number) return number;
  throw new FilterSyntaxError(value.offset, `${field} takes a whole number of 64 bits`);
}
