/** The words of a filter (AIP-160): names, operators and values, with their places. It knows no fields. */

/** A place in a filter that makes no sense, and what would. */
export class FilterSyntaxError extends Error {
  override readonly name = "FilterSyntaxError";
  /** Characters before the place. */
  readonly offset: number;

  constructor(offset: number, problem: string) {
    super(problem);
    this.offset = offset;
  }
}

export interface Token {
  readonly kind: "word" | "quoted" | "operator";
  /** Without quotes and escapes. */
  readonly text: string;
  /** Characters before it. */
  readonly offset: number;
  /** Indexes in `text` of every `*` that was not escaped. */
  readonly stars: readonly number[];
}

const operator = /[!<>]=|[=<>:]/y;
/** What may follow an operator without quotes: times, addresses, numbers and names among it. */
const bareValue = /[^\s"'()<>=!,\\]+/y;
const name = /[^\s"'()<>=!,\\:]+/y;
const space = /\s*/y;

/** @throws FilterSyntaxError */
export function tokenize(filter: string): readonly Token[] {
  const nul = filter.indexOf("\0");
  if (nul !== -1) throw new FilterSyntaxError(nul, "must not hold the character U+0000");
  const tokens: Token[] = [];
  let offset = 0;
  for (;;) {
    offset += match(space, filter, offset).length;
    if (offset === filter.length) return tokens;
    const [token, length] = next(filter, offset, tokens.at(-1)?.kind === "operator");
    tokens.push(token);
    offset += length;
  }
}

function next(filter: string, offset: number, afterOperator: boolean): [token: Token, length: number] {
  const first = filter[offset];
  if (first === '"' || first === "'") return quoted(filter, offset, first);
  // A value may hold colons, a name may not: `time:` is a name and an operator, `=12:00` is a value.
  const word = match(afterOperator ? bareValue : name, filter, offset);
  if (word !== "") {
    const stars = [...word.matchAll(/\*/g)].map((star) => star.index);
    return [{ kind: "word", text: word, offset, stars }, word.length];
  }
  const sign = match(operator, filter, offset);
  if (sign !== "") return [{ kind: "operator", text: sign, offset, stars: [] }, sign.length];
  throw new FilterSyntaxError(offset, `"${first}" has no meaning here; put values in quotes, and use no parentheses`);
}

function quoted(filter: string, start: number, quote: string): [token: Token, length: number] {
  let text = "";
  const stars: number[] = [];
  for (let at = start + 1; at < filter.length; at++) {
    const character = filter[at] ?? "";
    if (character === quote) return [{ kind: "quoted", text, offset: start, stars }, at + 1 - start];
    if (character === "*") stars.push(text.length);
    text += character === "\\" ? (filter[++at] ?? "") : character;
  }
  throw new FilterSyntaxError(start, `the quote is not closed; end the value with ${quote}`);
}

function match(pattern: RegExp, text: string, offset: number): string {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0] ?? "";
}
