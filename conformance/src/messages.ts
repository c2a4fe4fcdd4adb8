/** Messages as the suite's runner sends and takes them: four bytes of length (big endian), then protobuf. */
import type { Readable, Writable } from "node:stream";
import {
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  create as make,
  toBinary,
} from "@bufbuild/protobuf";

const PREFIX_BYTES = 4;

/** The messages of a stream, until it ends. @throws Error where it ends inside a message. */
export async function* readMessages<Desc extends DescMessage>(
  input: Readable,
  schema: Desc,
): AsyncGenerator<MessageShape<Desc>> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of input) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + bytes.readUInt32BE(0);
      if (bytes.length < end) break;
      yield fromBinary(schema, bytes.subarray(PREFIX_BYTES, end));
      bytes = bytes.subarray(end);
    }
  }
  if (bytes.length > 0) throw new Error("the input ends inside a message");
}

/** Resolves when there is room for the next one. */
export function writeMessage<Desc extends DescMessage>(
  output: Writable,
  schema: Desc,
  message: MessageInitShape<Desc>,
): Promise<void> {
  const bytes = toBinary(schema, make(schema, message));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(bytes.length);
  return new Promise((resolve, reject) => {
    output.write(Buffer.concat([prefix, bytes]), (error) => (error ? reject(error) : resolve()));
  });
}
