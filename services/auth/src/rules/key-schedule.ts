/**
 * When a signing key is made, when it signs, and when it is forgotten. Every instance comes to the same answer from the
 * same rows and the same time, so that a change of keys needs no message.
 */
import { ACCESS_TOKEN_TTL_MS, CLOCK_TOLERANCE_MS, SERVICE_TOKEN_TTL_MS } from "@switchboard/contract/token";

export interface ScheduledKey {
  readonly kid: string;
  /** From here on it signs, until a key with a later one does. Unix milliseconds. */
  readonly activateTime: number;
}

/** How long a key is published before it signs: longer than verifiers keep a JWKS, and than instances keep their keys. */
export const KEY_LEAD_MS = 60 * 60_000;

/** How long a key is published after it signed last: until its last token has expired. */
const KEY_OVERLAP_MS = Math.max(ACCESS_TOKEN_TTL_MS, SERVICE_TOKEN_TTL_MS) + 2 * CLOCK_TOLERANCE_MS;

export interface KeyChanges {
  /** Undefined: none is to be made. */
  readonly newKeyActivateTime: number | undefined;
  readonly expiredKids: readonly string[];
}

/**
 * What there is to do at a time. The very first key signs at once, for instances whose clocks are behind too: nobody can
 * have an older JWKS.
 */
export function keyChanges(keys: readonly ScheduledKey[], rotationMs: number, now: number): KeyChanges {
  const ordered = keys.toSorted((a, b) => a.activateTime - b.activateTime);
  return {
    newKeyActivateTime: nextActivateTime(ordered.at(-1), rotationMs, now),
    expiredKids: ordered.flatMap((key, index) => {
      const next = ordered[index + 1];
      return next && next.activateTime + KEY_OVERLAP_MS <= now ? [key.kid] : [];
    }),
  };
}

function nextActivateTime(latest: ScheduledKey | undefined, rotationMs: number, now: number): number | undefined {
  if (latest === undefined) return now - CLOCK_TOLERANCE_MS;
  const due = latest.activateTime + rotationMs;
  return now < due - KEY_LEAD_MS ? undefined : Math.max(due, now + KEY_LEAD_MS);
}

/** The key that signs at a time; undefined: there is none yet. */
export function signingKeyAt<Key extends ScheduledKey>(keys: readonly Key[], time: number): Key | undefined {
  return keys
    .filter((key) => key.activateTime <= time)
    .toSorted((a, b) => a.activateTime - b.activateTime)
    .at(-1);
}
