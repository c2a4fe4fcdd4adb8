/** Decodes the header blocks of one connection (RFC 7541, section 6): what comes, in the order in which it comes. */
import { BlockMemo } from "./block-memo.ts";
import { hashOf, sameBytes } from "./byte-key.ts";
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { FieldKind, isFieldValue, kindOfName } from "./field-kind.ts";
import { HeaderList } from "./header-list.ts";
import { DynamicTable, STATIC_TABLE, type TableEntry } from "./hpack-table.ts";
import { decodeHuffman } from "./huffman.ts";

export interface DecoderLimits {
  /** What the peer's dynamic table may take at most, in HPACK's measure. */
  readonly maxTableBytes: number;
  /** What a decoded list may take; fields beyond it are left out and the list is marked. */
  readonly maxListBytes: number;
  /** What remembering decoded lists may take; 0: none are remembered. */
  readonly maxMemoBytes: number;
}

/** The size that every table begins with (RFC 9113, section 6.5.2). */
export const INITIAL_TABLE_BYTES = 4096;

interface KnownName {
  readonly raw: Uint8Array;
  readonly huffman: boolean;
  readonly name: string;
  readonly kind: number;
}

const NAME_SLOTS = 64;
const MAX_KNOWN_NAME_BYTES = 64;
/** 5 bits are the shortest code. */
const MAX_BYTES_PER_HUFFMAN_BYTE = 8 / 5;

export class HpackDecoder {
  readonly #limits: DecoderLimits;
  readonly #table = new DynamicTable(INITIAL_TABLE_BYTES);
  readonly #memo: BlockMemo;
  readonly #names: (KnownName | undefined)[] = new Array(NAME_SLOTS).fill(undefined);
  #scratch: Buffer = Buffer.alloc(0);
  /** How large the peer may make the table: until it acknowledged our limit, it may still use the initial one. */
  #allowedTableBytes: number;
  #mustShrink = false;
  // The block that is being read.
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #kind = 0;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
    this.#memo = new BlockMemo(limits.maxMemoBytes);
    this.#allowedTableBytes = Math.max(INITIAL_TABLE_BYTES, limits.maxTableBytes);
  }

  get memoBytes(): number {
    return this.#memo.bytes;
  }

  /** The peer acknowledged our table limit: its next block begins by saying that it shrank, if it has to. */
  acknowledged(): void {
    this.#allowedTableBytes = this.#limits.maxTableBytes;
    this.#mustShrink = this.#table.maxBytes > this.#allowedTableBytes;
  }

  /** @throws ConnectionFault COMPRESSION_ERROR; the table is of no use after that. */
  decode(bytes: Buffer, start: number, end: number): HeaderList {
    const generation = this.#table.generation;
    const known = this.#mustShrink ? undefined : this.#memo.find(bytes, start, end, generation);
    if (known !== undefined) return known;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#readTableSizes();
    const list = new HeaderList();
    while (this.#at < end) this.#readField(list);
    if (this.#table.generation === generation && !list.oversize) this.#memo.offer(bytes, start, end, generation, list);
    return list;
  }

  /** Changes of the table's size, which may only come first (section 4.2). */
  #readTableSizes(): void {
    while (this.#at < this.#end && ((this.#bytes[this.#at] as number) & 0xe0) === 0x20) {
      const size = this.#readInteger(5);
      if (size > this.#allowedTableBytes) throw broken("a table is made larger than allowed");
      this.#table.resize(size);
      this.#mustShrink = false;
    }
    if (this.#mustShrink) throw broken("the table was not made smaller as agreed");
  }

  #readField(list: HeaderList): void {
    const first = this.#bytes[this.#at] as number;
    const maxBytes = this.#limits.maxListBytes;
    if ((first & 0x80) !== 0) {
      const entry = this.#entry(this.#readInteger(7));
      list.add(entry.name, entry.value, entry.kind, maxBytes);
      return;
    }
    if ((first & 0xe0) === 0x20) throw broken("a table size comes behind a field");
    const indexed = (first & 0x40) !== 0;
    const index = this.#readInteger(indexed ? 6 : 4);
    let name: string;
    let kind: number;
    if (index === 0) {
      name = this.#readName();
      kind = this.#kind;
    } else {
      const entry = this.#entry(index);
      name = entry.name;
      // Whether an entry is invalid may lie in its value, which is not the one that comes here.
      kind = entry.kind === FieldKind.INVALID ? kindOfName(name) : entry.kind;
    }
    const value = this.#readString();
    if (this.#kind === FieldKind.INVALID) kind = FieldKind.INVALID;
    if (indexed) this.#table.add({ name, value, kind });
    else if ((first & 0x10) !== 0) list.markSensitive(name);
    list.add(name, value, kind, maxBytes);
  }

  #entry(index: number): TableEntry {
    const entry =
      index <= STATIC_TABLE.length ? STATIC_TABLE[index - 1] : this.#table.at(index - STATIC_TABLE.length - 1);
    if (entry === undefined) throw broken("an index points behind the tables");
    return entry;
  }

  /** An integer with so many bits in its first byte (section 5.1); four further bytes are more than anything here needs. */
  #readInteger(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) throw broken("an integer is cut off");
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw broken("an integer is too large");
  }

  /** Reads a string literal's head. @returns its length; whether it is Huffman coded is in the first bit. */
  #readLength(): number {
    if (this.#at >= this.#end) throw broken("a string is cut off");
    const length = this.#readInteger(7);
    if (length > this.#end - this.#at) throw broken("a string is cut off");
    return length;
  }

  /** Sets #kind. */
  #readName(): string {
    const huffman = this.#at < this.#end && ((this.#bytes[this.#at] as number) & 0x80) !== 0;
    const length = this.#readLength();
    const start = this.#at;
    const end = start + length;
    this.#at = end;
    if (length > MAX_KNOWN_NAME_BYTES) return this.#newName(huffman, start, end);
    const slot = hashOf(this.#bytes, start, end) % NAME_SLOTS;
    const known = this.#names[slot];
    if (known !== undefined && known.huffman === huffman && sameBytes(this.#bytes, start, end, known.raw)) {
      this.#kind = known.kind;
      return known.name;
    }
    const name = this.#newName(huffman, start, end);
    this.#names[slot] = {
      raw: Uint8Array.prototype.slice.call(this.#bytes, start, end),
      huffman,
      name,
      kind: this.#kind,
    };
    return name;
  }

  #newName(huffman: boolean, start: number, end: number): string {
    const name = this.#text(huffman, start, end);
    this.#kind = kindOfName(name);
    return name;
  }

  /** Sets #kind to INVALID where no field may have such a value, to PLAIN otherwise. */
  #readString(): string {
    const huffman = this.#at < this.#end && ((this.#bytes[this.#at] as number) & 0x80) !== 0;
    const length = this.#readLength();
    const start = this.#at;
    this.#at += length;
    return this.#text(huffman, start, this.#at);
  }

  #text(huffman: boolean, start: number, end: number): string {
    if (start === end) {
      this.#kind = FieldKind.PLAIN;
      return "";
    }
    let bytes = this.#bytes;
    let from = start;
    let to = end;
    if (huffman) {
      const room = Math.ceil((end - start) * MAX_BYTES_PER_HUFFMAN_BYTE);
      if (this.#scratch.length < room) this.#scratch = Buffer.allocUnsafeSlow(Math.max(256, room));
      const length = decodeHuffman(bytes, start, end, this.#scratch);
      if (length === -1) throw broken("a string is no Huffman code");
      bytes = this.#scratch;
      from = 0;
      to = length;
    }
    this.#kind = isFieldValue(bytes, from, to) ? FieldKind.PLAIN : FieldKind.INVALID;
    return bytes.toString("latin1", from, to);
  }
}

function broken(message: string): ConnectionFault {
  return new ConnectionFault(ErrorCode.COMPRESSION_ERROR, message);
}
