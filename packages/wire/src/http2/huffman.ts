/** Huffman coding of HPACK's strings (RFC 7541, section 5.2): decoding four bits at a time by table, encoding by code. */
import { CODE_LENGTHS, CODES, EOS } from "./huffman-code.ts";

/**
 * A state is an inner node of the code's tree. TABLE[state << 4 | four bits] has the next state in its low byte, and
 * above it the symbol that was completed, if one was: no code is shorter than five bits, so there is one at most.
 */
const EMITS = 1 << 16;
const FAILS = 1 << 17;
/** The string may end here: at most seven bits, all ones, are left over. */
const ENDS = 1 << 18;
const TABLE: Int32Array = buildTable();

/**
 * Decodes bytes[start, end) into `target`, which has room for 8 / 5 of their number.
 * @returns how many bytes it wrote; -1: they are no valid code.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0;
  let ends = true;
  let written = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    let entry = TABLE[(state << 4) | (byte >> 4)] as number;
    if ((entry & EMITS) !== 0) target[written++] = (entry >> 8) & 0xff;
    if ((entry & FAILS) !== 0) return -1;
    entry = TABLE[((entry & 0xff) << 4) | (byte & 15)] as number;
    if ((entry & EMITS) !== 0) target[written++] = (entry >> 8) & 0xff;
    if ((entry & FAILS) !== 0) return -1;
    state = entry & 0xff;
    ends = (entry & ENDS) !== 0;
  }
  return ends ? written : -1;
}

/** How many bytes the code of a latin1 text takes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODE_LENGTHS[text.charCodeAt(i)] as number;
  return (bits + 7) >> 3;
}

/** Encodes a latin1 text. @returns the place behind its last byte. */
export function encodeHuffman(text: string, target: Uint8Array, start: number): number {
  let at = start;
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    const code = CODES[symbol] as number;
    for (let left = CODE_LENGTHS[symbol] as number; left > 0; ) {
      const taken = Math.min(left, 8 - pendingBits);
      left -= taken;
      pending = (pending << taken) | ((code >>> left) & ((1 << taken) - 1));
      pendingBits += taken;
      if (pendingBits === 8) {
        target[at++] = pending;
        pending = 0;
        pendingBits = 0;
      }
    }
  }
  // The rest is filled with the first bits of the end of string: ones.
  if (pendingBits > 0) target[at++] = (pending << (8 - pendingBits)) | ((1 << (8 - pendingBits)) - 1);
  return at;
}

function buildTable(): Int32Array {
  // tree[node * 2 + bit]: a node, or -1 - symbol, or 0 where nothing is yet (the root is nobody's child).
  const tree: number[] = [0, 0];
  const depths = [0];
  const allOnes = [true];
  CODES.forEach((code, symbol) => {
    let node = 0;
    for (let left = (CODE_LENGTHS[symbol] as number) - 1; left >= 0; left--) {
      const bit = (code >>> left) & 1;
      const slot = node * 2 + bit;
      if (left === 0) tree[slot] = -1 - symbol;
      else if (tree[slot] === 0) {
        tree[slot] = depths.length;
        depths.push((depths[node] as number) + 1);
        allOnes.push((allOnes[node] as boolean) && bit === 1);
        tree.push(0, 0);
      }
      node = tree[slot] as number;
    }
  });
  const table = new Int32Array(depths.length * 16);
  for (let start = 0; start < depths.length; start++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = start;
      let entry = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const next = tree[node * 2 + ((nibble >> bit) & 1)] as number;
        if (next === -1 - EOS) entry |= FAILS;
        else if (next < 0) entry |= EMITS | ((-1 - next) << 8);
        node = Math.max(next, 0);
      }
      if ((depths[node] as number) < 8 && allOnes[node]) entry |= ENDS;
      table[(start << 4) | nibble] = entry | node;
    }
  }
  return table;
}
