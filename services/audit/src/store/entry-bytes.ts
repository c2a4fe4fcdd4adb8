/** An entry as the bytes that are stored and hashed: a protobuf of the contract's Event, without the hash. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { EventSchema, type Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import type { Entry } from "../rules/entry.ts";

/** The encoding is canonical: fields in order of their numbers, none that is empty. */
export function entryBytes(entry: Entry): Uint8Array {
  const message = create(EventSchema, {
    ...entry,
    sequence: BigInt(entry.sequence),
    time: timestampFromDate(entry.time),
    outcome: entry.outcome as Outcome,
    count: BigInt(entry.count),
  });
  return toBinary(EventSchema, message);
}

/** The entry that bytes hold; undefined where they are none. */
export function readEntry(bytes: Uint8Array): Entry | undefined {
  try {
    const { $typeName, $unknown, hash, sequence, time, count, ...rest } = fromBinary(EventSchema, bytes);
    if (time === undefined) return undefined;
    return { ...rest, sequence: Number(sequence), time: timestampDate(time), count: Number(count) };
  } catch {
    return undefined;
  }
}

/** What callers see of a stored entry. */
export function eventMessage(row: { bytes: Uint8Array; leafHash: Uint8Array }): MessageInitShape<typeof EventSchema> {
  return { ...fromBinary(EventSchema, row.bytes), hash: Buffer.from(row.leafHash).toString("hex") };
}
