/** What is known of an instance's answer while its bytes go by: where it may be ended, and whether it is complete. */
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { EnvelopeScanner } from "@switchboard/wire/envelope-scanner";
import type { Protocol } from "@switchboard/wire/protocol";
import { codeName, nameOfHttpStatus } from "@switchboard/wire/status";
import { GRPC_STATUS } from "@switchboard/wire/trailers";

export type AnswerHead = IncomingHttpHeaders & IncomingHttpStatusHeader;

export class AnswerScan {
  readonly head: AnswerHead;
  readonly status: number;
  trailers: IncomingHttpHeaders = {};
  readonly #protocol: Protocol;
  readonly #envelopes: EnvelopeScanner | undefined;
  readonly #announced: number | undefined;
  #bytes = 0;

  constructor(protocol: Protocol, head: AnswerHead) {
    this.head = head;
    this.status = head[":status"] ?? 502;
    this.#protocol = protocol;
    // A refusal of the protocol itself (404, 415 …) has no envelopes.
    this.#envelopes = protocol.enveloped && this.status === 200 ? new EnvelopeScanner() : undefined;
    this.#announced = head["content-length"] === undefined ? undefined : Number(head["content-length"]);
  }

  /** @returns how many of the bytes belong to the first message that ends among them; -1: none ends, or there are none. */
  push(chunk: Uint8Array): number {
    this.#bytes += chunk.length;
    return this.#envelopes?.push(chunk) ?? -1;
  }

  /** Whether a message of the answer came, the end of the answer not counted. */
  hasMessage(): boolean {
    const envelopes = this.#envelopes;
    if (envelopes === undefined || envelopes.messages === 0) return false;
    return envelopes.messages > 1 || (envelopes.flags & this.#protocol.endFlag) === 0;
  }

  /** Whether the caller's protocol lets an error follow here. */
  atBoundary(): boolean {
    return this.#envelopes?.atBoundary() ?? false;
  }

  /** Whether there will be boundaries at all. */
  enveloped(): boolean {
    return this.#envelopes !== undefined;
  }

  /** Whether a stream that has ended gave all of its answer: an instance that dies may seem to end in good order. */
  isComplete(stream: ClientHttp2Stream): boolean {
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) return false;
    const envelopes = this.#envelopes;
    if (envelopes === undefined) return this.#announced === undefined || this.#announced === this.#bytes;
    if (!envelopes.atBoundary()) return false;
    if (this.#protocol.name === "grpc" || envelopes.messages === 0) return this.grpcStatus() !== undefined;
    return (envelopes.flags & this.#protocol.endFlag) !== 0;
  }

  grpcStatus(): string | undefined {
    const status = this.trailers[GRPC_STATUS] ?? this.head[GRPC_STATUS];
    return typeof status === "string" ? status : undefined;
  }

  /** "ok", "not_found" …, as far as the headers and trailers tell. */
  outcome(): string {
    const code = this.grpcStatus();
    if (code === undefined) return nameOfHttpStatus(this.status);
    return code === "0" ? "ok" : codeName(Number(code));
  }
}
