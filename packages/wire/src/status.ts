/** The sixteen codes of failed calls, in the three forms they travel in, and google.rpc.Status as bytes. */

/** An error as the protocols carry it. */
export interface WireError {
  /** gRPC's number, 1 to 16. */
  readonly code: number;
  readonly message: string;
  readonly details: readonly WireErrorDetail[];
}

/** A message of whatever type, as protobuf. */
export interface WireErrorDetail {
  /** Full name: "google.rpc.ErrorInfo". */
  readonly type: string;
  readonly value: Uint8Array;
}

/** By number: Connect's name and HTTP status (https://connectrpc.com/docs/protocol#error-codes). */
const codes: readonly (readonly [name: string, httpStatus: number])[] = [
  ["unknown", 500],
  ["canceled", 499],
  ["unknown", 500],
  ["invalid_argument", 400],
  ["deadline_exceeded", 504],
  ["not_found", 404],
  ["already_exists", 409],
  ["permission_denied", 403],
  ["resource_exhausted", 429],
  ["failed_precondition", 400],
  ["aborted", 409],
  ["out_of_range", 400],
  ["unimplemented", 501],
  ["internal", 500],
  ["unavailable", 503],
  ["data_loss", 500],
  ["unauthenticated", 401],
];

export function codeName(code: number): string {
  return (codes[code] ?? ["unknown"])[0];
}

export function httpStatusOf(code: number): number {
  return codes[code]?.[1] ?? 500;
}

/** "ok", or the first code that has this HTTP status: as much as an answer says whose body nobody reads. */
export function nameOfHttpStatus(status: number): string {
  if (status < 300) return "ok";
  return (codes.find(([, httpStatus], index) => index > 1 && httpStatus === status) ?? ["unknown"])[0];
}

/** google.rpc.Status {code = 1, message = 2, details = 3: google.protobuf.Any {type_url = 1, value = 2}}. */
export function encodeStatus(error: WireError): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(0x08, error.code)];
  if (error.message !== "") parts.push(...field(2, Buffer.from(error.message)));
  for (const { type, value } of error.details) {
    const any = [...field(1, Buffer.from(`type.googleapis.com/${type}`)), ...field(2, value)];
    parts.push(...field(3, Buffer.concat(any)));
  }
  return Buffer.concat(parts);
}

/** A field of bytes: its tag with wire type 2, its length as a varint, itself. */
function field(number: number, value: Uint8Array): [head: Uint8Array, value: Uint8Array] {
  const head = [(number << 3) | 2];
  let length = value.length;
  while (length > 0x7f) {
    head.push((length & 0x7f) | 0x80);
    length >>>= 7;
  }
  head.push(length);
  return [Uint8Array.from(head), value];
}
