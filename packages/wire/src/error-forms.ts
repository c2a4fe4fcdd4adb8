/** An error in the caller's own protocol: as a whole answer, and as the end of one that has begun. */
import { envelope } from "./envelope-scanner.ts";
import type { Protocol } from "./protocol.ts";
import { codeName, httpStatusOf, type WireError } from "./status.ts";
import { errorTrailers, trailerFrame } from "./trailers.ts";

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty: none. */
  readonly body: Uint8Array;
}

export interface ErrorEnding {
  /** What is still to be written at a message's boundary. */
  readonly bytes: Uint8Array;
  /** HTTP trailers to send after it; undefined: none. */
  readonly trailers: Readonly<Record<string, string>> | undefined;
}

const NOTHING = new Uint8Array();

/**
 * The whole answer to a call that failed before its answer began.
 * @param httpStatus the status where the protocol lets HTTP speak (Connect unary and no protocol at all). Default: the
 * one that belongs to the code.
 */
export function errorAnswer(protocol: Protocol, error: WireError, httpStatus = httpStatusOf(error.code)): ErrorAnswer {
  switch (protocol.name) {
    case "grpc":
      // Trailers-only: the trailers are the headers.
      return { status: 200, headers: { "content-type": protocol.contentType, ...errorTrailers(error) }, body: NOTHING };
    case "grpc-web":
    case "connect-stream":
      return { status: 200, headers: { "content-type": protocol.contentType }, body: endingBytes(protocol, error) };
    default:
      return {
        status: httpStatus,
        headers: { "content-type": "application/json" },
        body: Buffer.from(JSON.stringify(connectError(error))),
      };
  }
}

/** How an answer that has begun ends with an error; undefined: the protocol has no such way, the stream must be reset. */
export function errorEnding(protocol: Protocol, error: WireError): ErrorEnding | undefined {
  if (protocol.name === "grpc") return { bytes: NOTHING, trailers: errorTrailers(error) };
  return protocol.enveloped ? { bytes: endingBytes(protocol, error), trailers: undefined } : undefined;
}

function endingBytes(protocol: Protocol, error: WireError): Uint8Array {
  if (protocol.name === "connect-stream") {
    return envelope(protocol.endFlag, Buffer.from(JSON.stringify({ error: connectError(error) })));
  }
  return trailerFrame(errorTrailers(error));
}

/** https://connectrpc.com/docs/protocol#error-end-stream */
function connectError(error: WireError): object {
  return {
    code: codeName(error.code),
    message: error.message,
    ...(error.details.length > 0 && {
      details: error.details.map(({ type, value }) => ({
        type,
        value: Buffer.from(value).toString("base64").replace(/=+$/, ""),
      })),
    }),
  };
}
