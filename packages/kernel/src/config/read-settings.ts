/**
 * Settings from the environment, checked once at the start: a zod schema per setting, all faults at once, each naming its
 * variable. What comes out is complete and frozen; nothing else in the kernel reads the environment.
 */
import { z } from "zod";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The settings cannot be used. The message lists every fault, a line each; secrets are never in it. */
export class SettingsFault extends Error {
  override readonly name = "SettingsFault";
}

/**
 * Reads the variables that the shape names. An empty variable counts as not set.
 * @throws SettingsFault
 */
export function readSettings<Shape extends z.ZodRawShape>(
  shape: Shape,
  environment: Environment,
): Readonly<z.infer<z.ZodObject<Shape>>> {
  const given = Object.fromEntries(Object.keys(shape).map((name) => [name, environment[name] || undefined]));
  const result = z.object(shape).safeParse(given);
  if (result.success) return Object.freeze(result.data);
  const faults = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return `  ${name}: ${given[name] === undefined ? "is not set and has no default" : issue.message}`;
  });
  throw new SettingsFault(`these settings cannot be used:\n${faults.join("\n")}`);
}

/** A whole number in words: "5000". */
export function integer(range: { min: number; max: number }) {
  return z
    .string()
    .regex(/^-?\d+$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().min(range.min).max(range.max));
}

/** A TCP port; 0 lets the system choose. */
export const port = integer({ min: 0, max: 65_535 });

/** "a, b,c" → ["a", "b", "c"]. */
export const list = z.string().transform((text) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);
