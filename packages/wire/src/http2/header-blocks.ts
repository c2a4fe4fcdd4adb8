/** Puts HEADERS and CONTINUATION frames together to decoded header lists (RFC 9113, sections 4.3, 6.2 and 6.10). */
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { Flag } from "./frame.ts";
import type { HeaderList } from "./header-list.ts";
import type { HpackDecoder } from "./hpack-decoder.ts";
import type { Limits } from "./limits.ts";

/** @param selfDependent the stream claims to depend on itself (RFC 7540, section 5.3.1). */
export type OnBlock = (streamId: number, list: HeaderList, endStream: boolean, selfDependent: boolean) => void;

export class HeaderBlocks {
  readonly #decoder: HpackDecoder;
  readonly #limits: Limits;
  readonly #onBlock: OnBlock;
  /** The stream whose block is incomplete; 0: none is. */
  #streamId = 0;
  #endStream = false;
  #selfDependent = false;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(decoder: HpackDecoder, limits: Limits, onBlock: OnBlock) {
    this.#decoder = decoder;
    this.#limits = limits;
    this.#onBlock = onBlock;
  }

  /** While it is, no other frame may come. */
  get incomplete(): boolean {
    return this.#streamId !== 0;
  }

  headers(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0");
    let from = start;
    let to = end;
    if ((flags & Flag.PADDED) !== 0) {
      if (from >= to) throw new ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without its padding");
      to -= bytes[from++] as number;
    }
    let selfDependent = false;
    if ((flags & Flag.PRIORITY) !== 0) {
      if (end - from < 5) throw new ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without its priority");
      selfDependent = (bytes.readUInt32BE(from) & 0x7fffffff) === streamId;
      from += 5;
    }
    if (to < from) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS with more padding than payload");
    if (to - from > this.#limits.maxHeaderBlockBytes) throw tooLong();
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) !== 0) {
      this.#onBlock(streamId, this.#decoder.decode(bytes, from, to), endStream, selfDependent);
      return;
    }
    this.#streamId = streamId;
    this.#endStream = endStream;
    this.#selfDependent = selfDependent;
    this.#keep(bytes, from, to);
  }

  continuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0 || streamId !== this.#streamId) {
      throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS before it");
    }
    // CVE-2024-27316: neither many frames nor long ones, and never an unbounded number of empty ones.
    if (this.#parts.length > this.#limits.maxContinuations) throw tooLong();
    if (this.#bytes + end - start > this.#limits.maxHeaderBlockBytes) throw tooLong();
    this.#keep(bytes, start, end);
    if ((flags & Flag.END_HEADERS) === 0) return;
    const block = Buffer.concat(this.#parts, this.#bytes);
    this.#streamId = 0;
    this.#parts = [];
    this.#bytes = 0;
    this.#onBlock(streamId, this.#decoder.decode(block, 0, block.length), this.#endStream, this.#selfDependent);
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    this.#parts.push(bytes.subarray(start, end));
    this.#bytes += end - start;
  }
}

function tooLong(): ConnectionFault {
  return new ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too long");
}
