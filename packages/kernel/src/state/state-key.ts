/** The bounds of what callers give to the state port, the same for every driver. */

const MAX_KEY_BYTES = 512;
const MAX_VALUE_BYTES = 1_048_576;
/** What timers can hold: 24.8 days. */
const MAX_TTL_MS = 2_147_483_647;

/** The key's UTF-8 bytes. @throws RangeError where it has not 1 to 512 of them, or is not well-formed UTF-16. */
export function keyBytes(key: string): Uint8Array {
  const bytes = Buffer.from(key);
  if (bytes.length < 1 || bytes.length > MAX_KEY_BYTES || !key.isWellFormed()) {
    throw new RangeError(`a key must have 1 to ${MAX_KEY_BYTES} bytes of well-formed text: hash what can be longer`);
  }
  return bytes;
}

/** @throws RangeError */
export function checkValue(value: Uint8Array): void {
  if (value.length > MAX_VALUE_BYTES) throw new RangeError(`a value must have at most ${MAX_VALUE_BYTES} bytes`);
}

/** @throws RangeError */
export function checkTtl(ttlMs: number): void {
  if (!(ttlMs >= 1 && ttlMs <= MAX_TTL_MS)) throw new RangeError(`ttlMs must be 1 to ${MAX_TTL_MS}`);
}
