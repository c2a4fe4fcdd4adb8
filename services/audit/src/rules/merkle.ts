/**
 * The Merkle tree hash of RFC 6962, section 2.1, grown leaf by leaf. It keeps the tree's right edge only, so that a leaf
 * costs a few hashes however long the log is.
 */
import { createHash } from "node:crypto";

export const HASH_BYTES = 32;

/** SHA-256(0x00 ‖ bytes) */
export function leafHash(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(LEAF).update(bytes).digest();
}

/** SHA-256(0x01 ‖ left ‖ right) */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash("sha256").update(NODE).update(left).update(right).digest();
}

const LEAF = Buffer.of(0x00);
const NODE = Buffer.of(0x01);

export class MerkleTree {
  #size: number;
  /** The roots of the perfect subtrees, largest first: one for each bit that is set in the size. */
  readonly #edge: Buffer[];

  /**
   * @param size how many leaves there are already.
   * @param edge what `edge()` gave at that size.
   * @throws RangeError where the edge cannot be one of a tree of that size.
   */
  constructor(size = 0, edge: Uint8Array = new Uint8Array()) {
    this.#size = size;
    this.#edge = Array.from({ length: edge.length / HASH_BYTES }, (_, index) =>
      Buffer.from(edge.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)),
    );
    if (edge.length !== HASH_BYTES * bitsSet(size)) throw new RangeError(`no tree of ${size} leaves has this edge`);
  }

  get size(): number {
    return this.#size;
  }

  append(leaf: Uint8Array): void {
    let node: Buffer = Buffer.from(leaf);
    // Each trailing bit of the size that is set is a subtree as large as the one in hand: together they are one.
    for (let rest = this.#size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      node = nodeHash(this.#edge.pop() ?? missing(), node);
    }
    this.#edge.push(node);
    this.#size++;
  }

  /** The Merkle tree hash; of no leaves it is SHA-256 of nothing. */
  root(): Buffer {
    const [smallest, ...larger] = this.#edge.toReversed();
    if (smallest === undefined) return createHash("sha256").digest();
    return larger.reduce((right, left) => nodeHash(left, right), smallest);
  }

  /** What a tree goes on from. */
  edge(): Buffer {
    return Buffer.concat(this.#edge);
  }
}

function bitsSet(size: number): number {
  let bits = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits;
}

function missing(): never {
  throw new RangeError("the tree's edge does not fit its size");
}
