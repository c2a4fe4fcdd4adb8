/** How far a search may go. Where a limit ends it before the answer is sure, that is an error and never an answer. */
import { AppError } from "@switchboard/contract/app-error";

export interface Limits {
  /** Stored relationships between the object and the subject, one after another: nested groups, parents of parents. */
  readonly depth: number;
  /** Sets, and objects or subjects found, that one search holds. */
  readonly nodes: number;
}

export const CHECK_LIMITS: Limits = { depth: 32, nodes: 10_000 };

/** A list holds its whole answer before it gives a page of it. */
export const LIST_LIMITS: Limits = { depth: 32, nodes: 100_000 };

export function tooDeep({ depth }: Limits): AppError {
  return new AppError(
    "GRAPH_TOO_DEEP",
    `the search passed ${depth} relationships one after another; nest groups and parents less deep`,
  );
}

export function tooMany({ nodes }: Limits): AppError {
  return new AppError(
    "GRAPH_TOO_DEEP",
    `the search met more than ${nodes} objects, sets and subjects; relate fewer and larger groups, or ask for less`,
  );
}
