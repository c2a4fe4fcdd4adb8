/**
 * Recomputes a log out of what is stored, front to back, holding one entry at a time, and finds the first thing that is
 * not as it was written. It reads nothing itself.
 */
import { leafHash, MerkleTree } from "./merkle.ts";

export interface StoredEntry {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly leafHash: Uint8Array;
  /** The place that the bytes themselves name; undefined where they cannot be read. */
  readonly writtenAs: number | undefined;
  /** Whether the columns that lists are filtered by say what the bytes say. */
  readonly columnsAgree: boolean;
}

export interface StoredHead {
  readonly size: number;
  readonly head: Uint8Array;
}

export interface StoredLog {
  /** In order of their sequence. */
  readonly entries: AsyncIterable<StoredEntry>;
  /** In order of their size. */
  readonly heads: AsyncIterable<StoredHead>;
  /** What somebody was told earlier. */
  readonly known: StoredHead | undefined;
}

export interface LogFault {
  readonly kind: "CHANGED" | "MISSING" | "REORDERED" | "TRUNCATED";
  /** The first entry that is wrong; 0 where that cannot be told. */
  readonly sequence: number;
  readonly message: string;
}

export type LogCheck =
  | { readonly ok: true; readonly size: number; readonly head: Uint8Array }
  | { readonly ok: false; readonly fault: LogFault };

export async function checkLog({ entries, heads, known }: StoredLog): Promise<LogCheck> {
  const tree = new MerkleTree();
  const headsInOrder = heads[Symbol.asyncIterator]();
  let head: StoredHead | undefined;
  const nextHead = async (): Promise<void> => {
    const { done, value } = await headsInOrder.next();
    head = done ? undefined : value;
  };
  const failed = (kind: LogFault["kind"], sequence: number, message: string): LogCheck => ({
    ok: false,
    fault: { kind, sequence, message },
  });

  await nextHead();
  // Entries up to here are what a kept head says.
  let confirmed = 0;
  let rewritten = false;
  for await (const entry of entries) {
    const fault = faultOf(entry, tree.size + 1);
    if (fault) return failed(...fault);
    tree.append(entry.leafHash);
    if (head?.size === tree.size) {
      if (!equal(head.head, tree.root())) {
        return failed(
          "CHANGED",
          confirmed + 1,
          `entries ${confirmed + 1} to ${tree.size} do not give the head kept for them`,
        );
      }
      confirmed = tree.size;
      await nextHead();
    }
    if (known?.size === tree.size) rewritten = !equal(known.head, tree.root());
  }

  const { size } = tree;
  const last = Math.max(head?.size ?? 0, known?.size ?? 0);
  if (last > size) return failed("TRUNCATED", size + 1, `the log once had ${last} entries and has ${size}`);
  if (confirmed < size) {
    return failed("CHANGED", confirmed + 1, `entries ${confirmed + 1} to ${size} were never given a head`);
  }
  if (rewritten) {
    return failed("TRUNCATED", 0, `the first ${known?.size} entries are not those that gave the head you know`);
  }
  return { ok: true, size, head: tree.root() };
}

function faultOf(entry: StoredEntry, expected: number): [LogFault["kind"], number, string] | undefined {
  const { sequence } = entry;
  if (sequence > expected) return ["MISSING", expected, `entry ${expected} is not there, the next one is ${sequence}`];
  if (sequence < expected) return ["REORDERED", sequence, `entry ${sequence} stands before the first`];
  if (!equal(leafHash(entry.bytes), entry.leafHash)) {
    return ["CHANGED", sequence, `entry ${sequence} does not have the bytes that were hashed`];
  }
  if (entry.writtenAs === undefined) return ["CHANGED", sequence, `entry ${sequence} cannot be read`];
  if (entry.writtenAs !== sequence) {
    return ["REORDERED", sequence, `entry ${sequence} was written as entry ${entry.writtenAs}`];
  }
  if (!entry.columnsAgree) return ["CHANGED", sequence, `entry ${sequence} is listed as something else than it is`];
  return undefined;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
