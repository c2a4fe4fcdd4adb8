/** Update masks (AIP-134): which fields a partial update changes. */
import type { DescField, DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { AppError } from "./app-error.ts";

/**
 * The paths that an update changes, each once, in the order of `changeable`: those that the mask names; all of them for
 * `*`; without a mask those that are not empty in the message.
 * @param changeable every path that callers may change, in proto names: "display_name", "address.city".
 * @throws AppError INVALID_UPDATE_MASK where the mask names a field that does not exist or is not changeable, or has `*`
 * beside other paths.
 */
export function updatePaths<Desc extends DescMessage, Path extends string>(
  schema: Desc,
  message: MessageShape<Desc>,
  mask: FieldMask | undefined,
  changeable: readonly Path[],
): readonly Path[] {
  const named = mask?.paths ?? [];
  if (named.length === 0) return changeable.filter((path) => isPathSet(reflect(schema, message), path));
  if (named.includes("*")) {
    if (named.length > 1) throw invalid('"*" stands for every field and must stand alone', changeable);
    return changeable;
  }
  for (const path of named) {
    if (changeable.some((candidate) => candidate === path)) continue;
    const known = fieldsAt(schema, path) !== undefined;
    throw invalid(`"${clip(path)}" ${known ? "cannot be changed" : `is no field of ${schema.name}`}`, changeable);
  }
  return changeable.filter((path) => named.includes(path));
}

function isPathSet(message: ReflectMessage, path: string): boolean {
  let current: unknown = message;
  return (fieldsAt(message.desc, path) ?? []).every((field) => {
    const parent = current as ReflectMessage;
    current = parent.get(field);
    return parent.isSet(field);
  });
}

/** The fields along a path; undefined where there is no such path. */
function fieldsAt(schema: DescMessage, path: string): readonly DescField[] | undefined {
  const fields: DescField[] = [];
  let message: DescMessage | undefined = schema;
  for (const name of path.split(".")) {
    const field: DescField | undefined = message?.fields.find((candidate) => candidate.name === name);
    if (field === undefined) return undefined;
    fields.push(field);
    message = field.fieldKind === "message" ? field.message : undefined;
  }
  return fields;
}

function invalid(problem: string, changeable: readonly string[]): AppError {
  const description = `${problem}; name some of ${changeable.join(", ")}, or leave the mask out`;
  return new AppError("INVALID_UPDATE_MASK", `update_mask: ${description}`, {
    violations: [{ field: "update_mask", description }],
  });
}

function clip(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}
