/**
 * Follows the envelopes of a body while its bytes go by: one byte of flags, four of length (big endian), the message.
 * It copies nothing, holds nothing back, and does not know what is in a message.
 */

const PREFIX_BYTES = 5;

export class EnvelopeScanner {
  /** Messages whose last byte went by. */
  messages = 0;
  /** The longest length that a prefix announced. */
  longest = 0;
  /** Flags of the newest prefix that is complete. */
  flags = 0;
  #prefix = 0;
  #length = 0;
  #left = 0;

  /** Whether the bytes so far end with a message. */
  atBoundary(): boolean {
    return this.#prefix === 0;
  }

  /** Takes the next bytes. @returns how many of them belong to the first message that ends among them; -1: none ends. */
  push(bytes: Uint8Array): number {
    let firstEnd = -1;
    let at = 0;
    while (at < bytes.length) {
      if (this.#prefix < PREFIX_BYTES) {
        this.#readPrefix(bytes[at] ?? 0);
        at += 1;
        if (this.#prefix < PREFIX_BYTES) continue;
      }
      const taken = Math.min(this.#left, bytes.length - at);
      at += taken;
      this.#left -= taken;
      if (this.#left > 0) break;
      this.#prefix = 0;
      this.messages += 1;
      if (firstEnd === -1) firstEnd = at;
    }
    return firstEnd;
  }

  #readPrefix(byte: number): void {
    if (this.#prefix === 0) {
      this.flags = byte;
      this.#length = 0;
    } else {
      this.#length = this.#length * 256 + byte;
    }
    this.#prefix += 1;
    if (this.#prefix < PREFIX_BYTES) return;
    this.#left = this.#length;
    this.longest = Math.max(this.longest, this.#length);
  }
}

/** A message in its envelope. */
export function envelope(flags: number, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PREFIX_BYTES + message.length);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}
