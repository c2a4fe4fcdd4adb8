/** What the fields of a request must be. */
import { EMAIL_RULE, isEmail } from "@switchboard/contract/email";
import { z } from "zod";

/** The canonical, lower-case form comes out. */
export const userId = z.guid("must be a UUID").toLowerCase();

export const email = z.string().refine(isEmail, EMAIL_RULE);

export const displayName = z
  .string()
  .refine((name) => [...name].length <= 200, "must have at most 200 characters")
  .regex(/\S/, "must have at least one visible character")
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must have no control characters");

/** One person, and optionally in which state: the fields of most calls that change one. */
export const whichUser = z.object({ userId, etag: z.string() });
