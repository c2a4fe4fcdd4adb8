/** Looking bytes up without making a string of them: a hash and a comparison, both over a part of a larger buffer. */

/** At most so many bytes go into a hash, so that it costs the same for long ones. */
const SAMPLES = 32;

/** Not for secrets and not against collisions: use it where a collision costs no more than a miss. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let hash = length;
  const step = length <= SAMPLES ? 1 : Math.ceil(length / SAMPLES);
  for (let i = start; i < end; i += step) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Whether bytes[start, end) are the same as all of `other`. */
export function sameBytes(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let i = 0; i < other.length; i++) {
    if (bytes[start + i] !== other[i]) return false;
  }
  return true;
}
