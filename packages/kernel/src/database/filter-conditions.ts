/**
 * A parsed filter (contract/filter.ts) as SQL conditions for drizzle. Values travel as parameters, names and operators come
 * from fixed lists. It expects columns that are NOT NULL: in SQL, `!=` does not hold for NULL.
 */
import type { Comparison, TextPattern } from "@switchboard/contract/filter";
import { type Column, type SQL, sql } from "drizzle-orm";

/** Where a filter's field is stored. */
export interface FilterColumn {
  readonly column: Column;
  /** Brings a text into the form that is stored: lower case, say. Default: as it is. */
  readonly text?: (value: string) => string;
  /** How an enum's value is stored: as its number, or as its name without the prefix. Default "number". */
  readonly enumAs?: "number" | "name";
}

/** One condition for each comparison; all must hold. */
export function conditionsOf<Name extends string>(
  comparisons: readonly Comparison<Name>[],
  columns: Readonly<Record<Name, FilterColumn>>,
): SQL[] {
  return comparisons.map((comparison) => condition(comparison, columns[comparison.field]));
}

function condition(comparison: Comparison, { column, text = same, enumAs }: FilterColumn): SQL {
  const operator = operators[comparison.operator];
  if ("pattern" in comparison) return matches(comparison.operator === "!=", comparison.pattern, column, text);
  switch (comparison.type) {
    case "string":
      return sql`${column} ${operator} ${text(comparison.value)}`;
    case "enum":
      return sql`${column} ${operator} ${enumAs === "name" ? comparison.name : comparison.value}`;
    case "timestamp":
      return sql`${column} ${operator} ${comparison.value}::timestamptz`;
    case "int":
      return sql`${column} ${operator} ${String(comparison.value)}::bigint`;
  }
}

function matches(negated: boolean, pattern: TextPattern, column: Column, text: (value: string) => string): SQL {
  const value = text(pattern.text);
  if (!pattern.openStart && !pattern.openEnd) return sql`${column} ${negated ? sql`<>` : sql`=`} ${value}`;
  const like = `${pattern.openStart ? "%" : ""}${value.replace(/[\\%_]/g, "\\$&")}${pattern.openEnd ? "%" : ""}`;
  return sql`${column} ${negated ? sql`NOT LIKE` : sql`LIKE`} ${like}`;
}

const operators = {
  "=": sql`=`,
  "!=": sql`<>`,
  "<": sql`<`,
  "<=": sql`<=`,
  ">": sql`>`,
  ">=": sql`>=`,
} as const;

const same = (value: string): string => value;
