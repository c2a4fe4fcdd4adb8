/**
 * Remembers what header blocks meant, by their raw bytes, as long as HPACK's dynamic table is the one they were read
 * against. It is bounded in number and bytes, and takes a block in only when it sees it again, so that blocks that
 * differ every time cost a hash and no memory.
 */
import { hashOf, sameBytes } from "./byte-key.ts";
import type { HeaderList } from "./header-list.ts";

interface Remembered {
  readonly block: Uint8Array;
  readonly list: HeaderList;
  readonly generation: number;
}

const SLOTS = 64;
/** After so many misses in a row only every sixteenth block is looked at, until there is a hit again. */
const PATIENCE = 256;

export class BlockMemo {
  /** What is remembered, blocks and decoded lists together. */
  bytes = 0;
  readonly #maxBytes: number;
  readonly #remembered: (Remembered | undefined)[] = new Array(SLOTS).fill(undefined);
  readonly #seen = new Uint32Array(SLOTS);
  #hash = 0;
  #looked = false;
  #misses = 0;

  /** @param maxBytes 0: remember nothing. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  find(bytes: Uint8Array, start: number, end: number, generation: number): HeaderList | undefined {
    this.#looked = this.#maxBytes > 0 && (this.#misses < PATIENCE || this.#misses % 16 === 0);
    this.#misses += 1;
    if (!this.#looked) return undefined;
    this.#hash = hashOf(bytes, start, end);
    const found = this.#remembered[this.#hash % SLOTS];
    if (found === undefined || found.generation !== generation || !sameBytes(bytes, start, end, found.block)) {
      return undefined;
    }
    this.#misses = 0;
    return found.list;
  }

  /** Offers what the block that was just not found meant; only for one that left the table as it was. */
  offer(bytes: Uint8Array, start: number, end: number, generation: number, list: HeaderList): void {
    if (!this.#looked) return;
    const slot = this.#hash % SLOTS;
    if (this.#seen[slot] !== this.#hash) {
      this.#seen[slot] = this.#hash;
      return;
    }
    const old = this.#remembered[slot];
    if (old !== undefined) this.bytes -= old.block.length + old.list.bytes;
    this.#remembered[slot] = undefined;
    const size = end - start + list.bytes;
    // A slot's fair share, four times over: few long blocks may be remembered, or many short ones.
    if (size > (this.#maxBytes * 4) / SLOTS || this.bytes + size > this.#maxBytes) return;
    // Not the slice of a Buffer, which is a view of what is read next.
    this.#remembered[slot] = { block: Uint8Array.prototype.slice.call(bytes, start, end), list, generation };
    this.bytes += size;
  }
}
