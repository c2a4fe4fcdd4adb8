/** Arrays of one dimension as PostgreSQL writes them (https://www.postgresql.org/docs/18/arrays.html#ARRAYS-IO). */

export function writeArray(values: readonly (string | number | null)[]): string {
  const elements = values.map((value) => (value === null ? "NULL" : `"${String(value).replace(/["\\]/g, "\\$&")}"`));
  return `{${elements.join(",")}}`;
}

/** The elements, each but NULL made by `element`. */
export function readArray<T>(literal: string, element: (text: string) => T): (T | null)[] {
  const found = literal.matchAll(/"((?:[^"\\]|\\.)*)"|[^",{}]+/gs);
  return Array.from(found, ([text, quoted]) => {
    if (quoted !== undefined) return element(quoted.replace(/\\(.)/gs, "$1"));
    return text === "NULL" ? null : element(text);
  });
}
