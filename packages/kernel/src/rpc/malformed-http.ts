/** Answers to HTTP/1.1 that no call can be made of: what Node says in a bare status, with a reason, a message and an id. */
import { STATUS_CODES } from "node:http";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import { REQUEST_ID } from "@switchboard/contract/headers";
import { newId } from "@switchboard/contract/ids";
import { fromAppError } from "./errors.ts";

export interface MalformedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export function malformedAnswer(status: number, reason: ReasonName, message: string): MalformedAnswer {
  const body = errorToJsonBytes(fromAppError(new AppError(reason, message)), undefined);
  const headers = {
    "content-type": "application/json",
    "content-length": String(body.length),
    [REQUEST_ID]: newId(),
    connection: "close",
  };
  return { status, headers, body };
}

/** For an error that Node met in the bytes, before there was a request or in the middle of one. */
export function answerToParseError(code: string | undefined): MalformedAnswer {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return malformedAnswer(431, "REQUEST_TOO_LARGE", "the headers are larger than is allowed here");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return malformedAnswer(413, "REQUEST_TOO_LARGE", "the extensions of a chunk are larger than is allowed here");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return malformedAnswer(408, "DEADLINE_EXCEEDED", "the headers took too long to come");
    default:
      return malformedAnswer(400, "MALFORMED_REQUEST", "this is no HTTP/1.1 that can be understood");
  }
}

export function asBytes({ body, headers, status }: MalformedAnswer): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n`), body]);
}
