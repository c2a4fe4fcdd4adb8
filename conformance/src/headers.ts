/** Headers as the suite's messages hold them: each name once, with all its values. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Header, HeaderSchema } from "../gen/connectrpc/conformance/v1/service_pb.ts";

/**
 * Metadata takes a comma as the border between two values (RFC 9110, section 5.2), which a value that holds one does not
 * survive: the suite has none.
 */
export function headersOf(headers: Headers): MessageInitShape<typeof HeaderSchema>[] {
  return [...headers].map(([name, values]) => ({ name, value: values.split(",").map((value) => value.trim()) }));
}

export function addHeaders(target: Headers, headers: readonly Header[] = []): void {
  for (const { name, value } of headers) for (const one of value) target.append(name, one);
}
