/** What the fields of requests must be, and who may send them. */
import { AppError } from "@switchboard/contract/app-error";
import { EMAIL_RULE, isEmail } from "@switchboard/contract/email";
import type { UserPrincipal } from "@switchboard/contract/principal";
import type { Call } from "@switchboard/kernel/rpc/call";
import { z } from "zod";
import { passwordFault } from "../rules/password-rule.ts";

/** The canonical, lower-case form comes out. */
export const id = z.guid("must be a UUID").toLowerCase();

export const email = z.string().refine(isEmail, EMAIL_RULE);

export const displayName = z
  .string()
  .refine((name) => [...name].length <= 200, "must have at most 200 characters")
  .regex(/\S/, "must have at least one visible character")
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must have no control characters");

/** @throws AppError PERMISSION_DENIED where a service calls for itself: it has neither sessions nor keys. */
export function requireUser({ principal }: Call): UserPrincipal {
  if (principal.kind === "user") return principal;
  throw new AppError("PERMISSION_DENIED", "only people have a password, sessions and API keys");
}

/** @throws AppError INVALID_FIELD */
export function requireGoodPassword(field: string, password: string, userEmail: string, minLength: number): void {
  const description = passwordFault(password, userEmail, minLength);
  if (description === undefined) return;
  throw new AppError("INVALID_FIELD", `the password ${description}`, { violations: [{ field, description }] });
}
