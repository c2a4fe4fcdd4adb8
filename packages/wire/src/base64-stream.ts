/** The base64 of gRPC-Web's text form, read as it comes: padding may stand in the middle, a group may be cut in two. */

/** RFC 4648, section 4. */
const groups = /^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*$/;

export class Base64Decoder {
  #rest = "";
  #malformed = false;

  /** Whether the text so far is no base64. Nothing is decoded from there on. */
  get malformed(): boolean {
    return this.#malformed;
  }

  /** The bytes that the text so far makes complete. */
  push(chunk: Uint8Array): Buffer {
    const text = this.#rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1");
    const whole = text.length - (text.length % 4);
    this.#rest = text.slice(whole);
    this.#malformed ||= !groups.test(text.slice(0, whole));
    if (this.#malformed) return Buffer.alloc(0);
    // Each padded run was encoded by itself.
    const runs = text.slice(0, whole).split(/(?<==)(?!=)/);
    return Buffer.concat(runs.map((run) => Buffer.from(run, "base64")));
  }

  /** Whether the text so far ends with a whole group. */
  complete(): boolean {
    return this.#rest === "" && !this.#malformed;
  }
}
