/** How long a session lasts: an idle time after each use, and an end that no use moves. All times in Unix milliseconds. */

export interface SessionLimits {
  readonly sessionIdleMs: number;
  readonly sessionMaxMs: number;
}

/** When a session that is opened now ends in any case. */
export function endOfSession(now: number, { sessionMaxMs }: SessionLimits): number {
  return now + sessionMaxMs;
}

/** When a session that is used now ends if it is not used again. */
export function expiryAfterUse(now: number, endTime: number, { sessionIdleMs }: SessionLimits): number {
  return Math.min(now + sessionIdleMs, endTime);
}
