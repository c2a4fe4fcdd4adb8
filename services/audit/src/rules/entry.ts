/** What the log holds: one act that happened, or several refusals that were counted together. */

/** An entry before it has its place in the log. The fields are those of the contract's Event. */
export interface Act {
  readonly eventId: string;
  readonly time: Date;
  readonly actor: string;
  readonly action: string;
  readonly object: string;
  /** The number of the contract's Outcome. */
  readonly outcome: number;
  readonly reason: string;
  readonly traceId: string;
  readonly source: string;
  readonly count: number;
}

export interface Entry extends Act {
  /** 1, 2, 3 … */
  readonly sequence: number;
}

/** The longest text of an entry, in UTF-16 units; more is cut off. */
const MAX_TEXT_LENGTH = 512;

/**
 * A text as it is kept: some come from outside (a refused path), so they are cut to a length, and control characters, which
 * PostgreSQL or a terminal would stumble over, are replaced.
 */
export function keptText(text: string): string {
  return text
    .slice(0, MAX_TEXT_LENGTH)
    .toWellFormed()
    .replace(/\p{Cc}/gu, "\uFFFD");
}

/**
 * What a fact is about, as `type:id`: the facts of Identity and Auth are keyed by user_id; a key that is `type:id` itself
 * says it. Empty: not known.
 */
export function objectOfFact(source: string, key: string): string {
  if (source === "identity" || source === "auth") return `user:${key}`;
  return /^[a-z][a-z0-9_]*:[A-Za-z0-9._~@+-]{1,128}$/.test(key) ? key : "";
}
