/**
 * Whether a contract declares what a request names. While contracts have still to be read, the name may be in one of them:
 * then the caller is to come again, and is not told that it was wrong.
 */
import { AppError } from "@switchboard/contract/app-error";
import { declares } from "../rules/model.ts";
import type { Models } from "./deps.ts";

/** A contract that can be read at all is read by then. */
const RETRY_AFTER_MS = 250;
/** Names of a type that a message lists. */
const MAX_LISTED = 40;

/**
 * Looks into the model. Where that finds that contracts have still to be read, it looks again when those that have just
 * registered are: a service's first calls come with its registration.
 */
export async function whenRead<T>(models: Models, look: () => T): Promise<T> {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof AppError) || error.reason !== "AUTHZ_UNAVAILABLE") throw error;
  }
  await models.settled();
  return look();
}

/** A relation or permission of a type. @throws AppError MODEL_INVALID, or AUTHZ_UNAVAILABLE where it may still be learnt */
export function requireDeclared(models: Models, type: string, name: string): void {
  requireType(models, type);
  const model = models.current();
  if (declares(model, type, name)) return;
  const { relations, permissions } = model.types.get(type) ?? {};
  const names = [...(relations?.keys() ?? []), ...(permissions?.keys() ?? [])].sort();
  throw undeclared(models, `no registered contract declares "${name}" on type "${type}", which has ${listed(names)}`);
}

/** @throws AppError as above */
export function requireType(models: Models, type: string): void {
  if (!models.current().types.has(type)) throw undeclared(models, `no registered contract declares the type "${type}"`);
}

/** @throws AppError AUTHZ_UNAVAILABLE, after something was not found in the model */
export function requireAllRead(models: Models, what: string): void {
  const unread = models.unread();
  if (unread.length === 0) return;
  const message = `${what}, and ${unread.join(", and ")}; try again`;
  throw new AppError("AUTHZ_UNAVAILABLE", message, { retryAfterMs: RETRY_AFTER_MS });
}

/** Names, for people. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return "none";
  return [...names.slice(0, MAX_LISTED), ...(names.length > MAX_LISTED ? ["…"] : [])].join(", ");
}

function undeclared(models: Models, what: string): AppError {
  requireAllRead(models, what);
  const refused = models.refused();
  const also = refused.length === 0 ? "" : `; refused of registered contracts: ${refused.join("; ")}`;
  return new AppError("MODEL_INVALID", `${what}; check the name, or start the service that declares it${also}`);
}
