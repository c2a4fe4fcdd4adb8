/** Checks a request's fields with a zod schema that stands beside the call (docs/adr/0003-field-validation.md). */
import { AppError } from "@switchboard/contract/app-error";
import type { z } from "zod";

/**
 * What the schema makes of the message; fields that it does not name are left out.
 * @throws AppError INVALID_FIELD, with a violation for every field that is wrong, in proto names.
 */
export function check<Schema extends z.ZodType>(schema: Schema, message: unknown): z.output<Schema> {
  const result = schema.safeParse(message);
  if (result.success) return result.data;
  const violations = result.error.issues.map(({ path, message: description }) => ({
    field: path.map((part) => (typeof part === "string" ? protoName(part) : String(part))).join("."),
    description,
  }));
  const told = violations.map(({ field, description }) => (field === "" ? description : `${field}: ${description}`));
  throw new AppError("INVALID_FIELD", told.join("; "), { violations });
}

/** The name in the .proto of a property that protoc-gen-es named: "displayName" → "display_name". */
function protoName(localName: string): string {
  return localName.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
