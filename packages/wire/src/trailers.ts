/** The end of a gRPC call: its trailers, as headers and as the last frame of gRPC-Web. */
import { envelope } from "./envelope-scanner.ts";
import { encodeStatus, type WireError } from "./status.ts";

export const GRPC_STATUS = "grpc-status";
export const GRPC_MESSAGE = "grpc-message";
export const GRPC_STATUS_DETAILS = "grpc-status-details-bin";

/** The flag that marks gRPC-Web's trailer frame. */
const TRAILER_FLAG = 0x80;

/** The trailers of a failed call. */
export function errorTrailers(error: WireError): Record<string, string> {
  return {
    [GRPC_STATUS]: String(error.code),
    [GRPC_MESSAGE]: percentEncode(error.message),
    ...(error.details.length > 0 && {
      [GRPC_STATUS_DETAILS]: Buffer.from(encodeStatus(error)).toString("base64").replace(/=+$/, ""),
    }),
  };
}

/** Trailers as gRPC-Web's last frame: lower-case names, a line each, ended by CRLF. */
export function trailerFrame(trailers: Readonly<Record<string, string>>): Uint8Array {
  const lines = Object.entries(trailers).map(([name, value]) => `${name.toLowerCase()}: ${value}\r\n`);
  return envelope(TRAILER_FLAG, Buffer.from(lines.join("")));
}

/** gRPC's form of a message in a header: printable ASCII without `%`, everything else as the bytes of its UTF-8. */
export function percentEncode(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let encoded = "";
  for (const byte of Buffer.from(message)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
