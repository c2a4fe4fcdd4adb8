/**
 * Encodes header blocks (RFC 7541, section 6). Blocks of answers are encoded once and sent many times: they use no
 * dynamic table. A client's requests to one peer share most of their fields: those go into the table once.
 */
import { FieldKind, isBlank, isControl, kindOfName } from "./field-kind.ts";
import { INITIAL_TABLE_BYTES } from "./hpack-decoder.ts";
import { ENTRY_OVERHEAD_BYTES, STATIC_TABLE } from "./hpack-table.ts";
import { encodeHuffman, huffmanLength } from "./huffman.ts";

/** name, value, name, value; names in lower case, pseudo-header fields first. */
export type Fields = readonly string[];

/** Never put into a table by us, nor by anyone after us: their values are guessable by trial (section 7.1.3). */
const SECRET_NAMES: ReadonlySet<string> = new Set(["authorization", "cookie", "proxy-authorization", "set-cookie"]);

/** How literals begin (sections 6.2.1 to 6.2.3). */
const INDEXED = 0x40;
const NOT_INDEXED = 0x00;
const NEVER_INDEXED = 0x10;

const NO_NAMES: readonly string[] = [];
/** Texts above this length are written natively: the call is worth it. */
const NATIVE_FROM = 48;

const staticNames = new Map<string, number>();
const staticFields = new Map<string, number>();
STATIC_TABLE.forEach(({ name, value }, place) => {
  if (!staticNames.has(name)) staticNames.set(name, place + 1);
  staticFields.set(`${name}\0${value}`, place + 1);
});

/** Where header blocks are put together; grows with the longest, up to what its user limits. */
class BlockBuffer {
  bytes: Buffer = Buffer.allocUnsafeSlow(1024);
  length = 0;

  room(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + bytes));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  integer(pattern: number, prefixBits: number, value: number): void {
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.bytes[this.length++] = pattern | value;
      return;
    }
    this.bytes[this.length++] = pattern | mask;
    let left = value - mask;
    while (left >= 128) {
      this.bytes[this.length++] = (left & 0x7f) | 0x80;
      left >>>= 7;
    }
    this.bytes[this.length++] = left;
  }

  /** @throws TypeError where a value has characters that no field may have. */
  plain(text: string): void {
    this.room(text.length + 6);
    this.integer(0, 7, text.length);
    let at = this.length;
    if (text.length >= NATIVE_FROM) {
      if (FORBIDDEN.test(text)) throw unsendable();
      this.length += this.bytes.write(text, at, "latin1");
      return;
    }
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0xff || isControl(code)) throw unsendable();
      this.bytes[at++] = code;
    }
    this.length = at;
  }

  shortest(text: string): void {
    if (FORBIDDEN.test(text)) throw unsendable();
    const length = huffmanLength(text);
    if (length >= text.length) {
      this.plain(text);
      return;
    }
    this.room(length + 6);
    this.integer(0x80, 7, length);
    this.length = encodeHuffman(text, this.bytes, this.length);
  }

  /**
   * A field that is not in a table as a whole. @param pattern the bits before the name's index. @param compress for blocks that
   * are sent often: it costs time once. Short names without an index are the same either way.
   */
  literal(pattern: number, prefixBits: number, name: string, value: string, compress: boolean): void {
    checkName(name);
    const index = staticNames.get(name) ?? 0;
    const text = trimmed(value);
    this.room(name.length + 12);
    this.integer(pattern, prefixBits, index);
    if (compress) {
      if (index === 0) this.shortest(name);
      this.shortest(text);
      return;
    }
    if (index === 0) this.plain(name);
    this.plain(text);
  }
}

const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * A block that any connection may send at any time.
 * @throws TypeError where a name or a value may not be sent.
 */
export function encodeBlock(fields: Fields): Uint8Array {
  const buffer = new BlockBuffer();
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const index = staticFields.get(`${name}\0${value}`);
    if (index !== undefined) {
      buffer.room(6);
      buffer.integer(0x80, 7, index);
    } else buffer.literal(SECRET_NAMES.has(name) ? NEVER_INDEXED : NOT_INDEXED, 4, name, value, true);
  }
  return new Uint8Array(buffer.bytes.subarray(0, buffer.length));
}

interface EncodedHead {
  readonly block: Uint8Array;
  readonly insertions: number;
}

/** Encodes the requests of one connection. What it returned is overwritten by the next call. */
export class HpackEncoder {
  readonly #buffer = new BlockBuffer();
  readonly #heads = new Map<Fields, EncodedHead>();
  /** Which insertion into the peer's table a field was. Nothing is ever evicted: what does not fit is sent as it is. */
  readonly #inserted = new Map<string, number>();
  #insertions = 0;
  #tableBytes = 0;
  #maxTableBytes = INITIAL_TABLE_BYTES;
  /** The peer has yet to hear of a new size. */
  #resized = false;
  /** No table is larger than this, whatever the peer allows. */
  readonly #ownMaxTableBytes: number;
  readonly #maxHeads: number;

  constructor(ownMaxTableBytes = INITIAL_TABLE_BYTES, maxHeads = 256) {
    this.#ownMaxTableBytes = ownMaxTableBytes;
    this.#maxHeads = maxHeads;
    this.limitTable(INITIAL_TABLE_BYTES);
  }

  /** What the peer's SETTINGS_HEADER_TABLE_SIZE says. */
  limitTable(peerMaxBytes: number): void {
    const size = Math.min(peerMaxBytes, this.#ownMaxTableBytes);
    if (size === this.#maxTableBytes) return;
    this.#maxTableBytes = size;
    this.#resized = true;
    this.#insertions = 0;
    this.#tableBytes = 0;
    this.#inserted.clear();
    this.#heads.clear();
  }

  /**
   * @param head fields that come again: their encoding is remembered by the identity of the array, so keep it and do not
   * change it. @param rest fields of this request alone. @param sensitive further names that no table may remember.
   */
  encode(head: Fields, rest: Fields | undefined, sensitive: readonly string[] = NO_NAMES): Uint8Array {
    const buffer = this.#buffer;
    buffer.length = 0;
    try {
      if (this.#resized) this.#tellSize();
      this.#encodeHead(head, sensitive);
      if (rest !== undefined) {
        for (let i = 0; i < rest.length; i += 2) {
          const name = rest[i] as string;
          const never = SECRET_NAMES.has(name) || (sensitive.length > 0 && sensitive.includes(name));
          buffer.literal(never ? NEVER_INDEXED : NOT_INDEXED, 4, name, rest[i + 1] as string, false);
        }
      }
    } catch (error) {
      // The block is not sent: what it would have put into the peer's table is not there. Begin anew.
      this.#restart();
      throw error;
    }
    return buffer.bytes.subarray(0, buffer.length);
  }

  #encodeHead(head: Fields, sensitive: readonly string[]): void {
    const buffer = this.#buffer;
    const known = this.#heads.get(head);
    if (known !== undefined && known.insertions === this.#insertions) {
      buffer.room(known.block.length);
      buffer.bytes.set(known.block, buffer.length);
      buffer.length += known.block.length;
      return;
    }
    const start = buffer.length;
    const before = this.#insertions;
    for (let i = 0; i < head.length; i += 2) this.#encodeField(head[i] as string, head[i + 1] as string, sensitive);
    // A head that put something into the table says so only once.
    if (this.#insertions !== before) return;
    if (this.#heads.size >= this.#maxHeads) this.#heads.clear();
    this.#heads.set(head, {
      block: Uint8Array.prototype.slice.call(buffer.bytes, start, buffer.length),
      insertions: before,
    });
  }

  #encodeField(name: string, value: string, sensitive: readonly string[]): void {
    const buffer = this.#buffer;
    const key = `${name}\0${value}`;
    const staticIndex = staticFields.get(key);
    const insertion = this.#inserted.get(key);
    buffer.room(12);
    if (staticIndex !== undefined) {
      buffer.integer(0x80, 7, staticIndex);
      return;
    }
    if (insertion !== undefined) {
      buffer.integer(0x80, 7, STATIC_TABLE.length + this.#insertions - insertion);
      return;
    }
    const never = SECRET_NAMES.has(name) || sensitive.includes(name);
    const size = name.length + trimmed(value).length + ENTRY_OVERHEAD_BYTES;
    if (never || this.#tableBytes + size > this.#maxTableBytes) {
      buffer.literal(never ? NEVER_INDEXED : NOT_INDEXED, 4, name, value, true);
      return;
    }
    buffer.literal(INDEXED, 6, name, value, true);
    this.#inserted.set(key, this.#insertions);
    this.#insertions += 1;
    this.#tableBytes += size;
  }

  /** By way of nothing, which empties the peer's table too: ours is empty already (section 4.2 wants the smallest first). */
  #tellSize(): void {
    this.#buffer.integer(0x20, 5, 0);
    if (this.#maxTableBytes > 0) this.#buffer.integer(0x20, 5, this.#maxTableBytes);
    this.#resized = false;
  }

  #restart(): void {
    this.#resized = true;
    this.#insertions = 0;
    this.#tableBytes = 0;
    this.#inserted.clear();
    this.#heads.clear();
  }
}

/** @throws TypeError where no message of HTTP/2 has such a field (RFC 9113, sections 8.2.1 and 8.2.2). */
function checkName(name: string): void {
  const kind = kindOfName(name);
  if (kind === FieldKind.INVALID || kind === FieldKind.CONNECTION) {
    throw new TypeError(`"${name}" is no field of an HTTP/2 message`);
  }
}

/** White space around a value is not part of it (RFC 9110, section 5.5), and a peer takes it for malformed. */
function trimmed(value: string): string {
  return isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))
    ? value.replace(/^[ \t]+|[ \t]+$/g, "")
    : value;
}

function unsendable(): TypeError {
  return new TypeError("a field's value has characters that cannot be sent");
}
