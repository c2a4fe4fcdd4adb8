/**
 * The tables that HPACK's indices point into: the static one (RFC 7541, appendix A) and a connection's dynamic one
 * (sections 2.3 and 4), which is bounded in bytes and forgets its oldest entries first.
 */
import { kindOfName } from "./field-kind.ts";

export interface TableEntry {
  readonly name: string;
  readonly value: string;
  /** A FieldKind. */
  readonly kind: number;
}

/** What an entry counts beside its name and value (section 4.1). */
export const ENTRY_OVERHEAD_BYTES = 32;

/** Index 1 is at place 0. */
export const STATIC_TABLE: readonly TableEntry[] = (
  [
    [":authority", ""],
    [":method", "GET"],
    [":method", "POST"],
    [":path", "/"],
    [":path", "/index.html"],
    [":scheme", "http"],
    [":scheme", "https"],
    [":status", "200"],
    [":status", "204"],
    [":status", "206"],
    [":status", "304"],
    [":status", "400"],
    [":status", "404"],
    [":status", "500"],
    ["accept-charset", ""],
    ["accept-encoding", "gzip, deflate"],
    ["accept-language", ""],
    ["accept-ranges", ""],
    ["accept", ""],
    ["access-control-allow-origin", ""],
    ["age", ""],
    ["allow", ""],
    ["authorization", ""],
    ["cache-control", ""],
    ["content-disposition", ""],
    ["content-encoding", ""],
    ["content-language", ""],
    ["content-length", ""],
    ["content-location", ""],
    ["content-range", ""],
    ["content-type", ""],
    ["cookie", ""],
    ["date", ""],
    ["etag", ""],
    ["expect", ""],
    ["expires", ""],
    ["from", ""],
    ["host", ""],
    ["if-match", ""],
    ["if-modified-since", ""],
    ["if-none-match", ""],
    ["if-range", ""],
    ["if-unmodified-since", ""],
    ["last-modified", ""],
    ["link", ""],
    ["location", ""],
    ["max-forwards", ""],
    ["proxy-authenticate", ""],
    ["proxy-authorization", ""],
    ["range", ""],
    ["referer", ""],
    ["refresh", ""],
    ["retry-after", ""],
    ["server", ""],
    ["set-cookie", ""],
    ["strict-transport-security", ""],
    ["transfer-encoding", ""],
    ["user-agent", ""],
    ["vary", ""],
    ["via", ""],
    ["www-authenticate", ""],
  ] as const
).map(([name, value]) => ({ name, value, kind: kindOfName(name) }));

export class DynamicTable {
  /** Grows with every change: what was read or written against another generation may mean something else. */
  generation = 0;
  /** In HPACK's measure: names, values and 32 for each entry. */
  bytes = 0;
  length = 0;
  #maxBytes: number;
  /** A ring: the newest entry is at #newest, older ones before it. Its size is a power of two. */
  #ring: (TableEntry | undefined)[] = new Array(16).fill(undefined);
  #newest = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  resize(maxBytes: number): void {
    if (maxBytes === this.#maxBytes) return;
    this.#maxBytes = maxBytes;
    this.generation += 1;
    this.#evictTo(maxBytes);
  }

  /** An entry that is larger than the whole table empties it and is not kept (section 4.4). */
  add(entry: TableEntry): void {
    const size = entry.name.length + entry.value.length + ENTRY_OVERHEAD_BYTES;
    this.generation += 1;
    this.#evictTo(this.#maxBytes - size);
    if (size > this.#maxBytes) return;
    if (this.length === this.#ring.length) this.#grow();
    this.#newest = (this.#newest + 1) & (this.#ring.length - 1);
    this.#ring[this.#newest] = entry;
    this.length += 1;
    this.bytes += size;
  }

  /** @param age 0: the newest. */
  at(age: number): TableEntry | undefined {
    return age < this.length ? this.#ring[(this.#newest - age) & (this.#ring.length - 1)] : undefined;
  }

  #evictTo(bytes: number): void {
    while (this.length > 0 && this.bytes > bytes) {
      const place = (this.#newest - this.length + 1) & (this.#ring.length - 1);
      const oldest = this.#ring[place] as TableEntry;
      this.bytes -= oldest.name.length + oldest.value.length + ENTRY_OVERHEAD_BYTES;
      this.length -= 1;
      this.#ring[place] = undefined;
    }
  }

  #grow(): void {
    const old = this.#ring;
    const ring = new Array<TableEntry | undefined>(old.length * 2).fill(undefined);
    for (let age = 0; age < this.length; age++) {
      ring[this.length - 1 - age] = old[(this.#newest - age) & (old.length - 1)];
    }
    this.#newest = this.length - 1;
    this.#ring = ring;
  }
}
