/** Etags of stored objects (AIP-154): opaque to callers, made of the object's id and a revision that grows. */
import { AppError } from "./app-error.ts";
import { fingerprint } from "./fingerprint.ts";

/** The etag of an object at a revision. Two objects at the same revision have different ones. */
export function etagOf(id: string, revision: number | bigint): string {
  return `${revision.toString(36)}-${fingerprint(id)}`;
}

/**
 * Lets a write pass that names the current etag or none.
 * @throws AppError ETAG_MISMATCH where it names another.
 */
export function requireEtag(given: string, current: string): void {
  if (given === "" || given === current) return;
  throw new AppError(
    "ETAG_MISMATCH",
    "the etag is not the current one: somebody changed this since you read it; read it again and repeat the change",
  );
}
