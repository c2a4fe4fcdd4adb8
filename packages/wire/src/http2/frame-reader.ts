/**
 * Cuts what a connection receives into frames, without an object for each and without a copy of those that arrive whole.
 * Knows lengths only, not what is in a frame.
 */
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { FRAME_HEADER_BYTES, FrameType } from "./frame.ts";

/** Gets bytes[start, end), which are good until it returns. @returns false to be told of no further frame. */
export type OnFrame = (
  type: number,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
) => boolean;

const NOTHING: Buffer = Buffer.alloc(0);

export class FrameReader {
  readonly #maxFrameBytes: number;
  readonly #onFrame: OnFrame;
  /** A frame of which the end is missing, or a part of its header. */
  #partial: Buffer = NOTHING;
  #partialLength = 0;

  /** @param maxFrameBytes the longest payload that the peer may send. */
  constructor(maxFrameBytes: number, onFrame: OnFrame) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#onFrame = onFrame;
  }

  /** Whether it waits for the rest of something that a peer has no reason to send slowly: anything but a body. */
  waitsForControl(): boolean {
    if (this.#partialLength === 0) return false;
    return this.#partialLength < FRAME_HEADER_BYTES || this.#partial[3] !== FrameType.DATA;
  }

  /** @throws ConnectionFault FRAME_SIZE_ERROR as soon as a header announces too long a frame. */
  push(chunk: Buffer): void {
    let at = 0;
    if (this.#partialLength > 0) {
      at = this.#complete(chunk);
      if (at === -1) return;
    }
    while (chunk.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + this.#payloadLength(chunk, at);
      if (end > chunk.length) break;
      if (!this.#emit(chunk, at, end)) return;
      at = end;
    }
    if (at < chunk.length) this.#keep(chunk, at);
  }

  /** Fills up the partial frame. @returns how many bytes of the chunk it took; -1: it took all and lacks more, or stop. */
  #complete(chunk: Buffer): number {
    let at = 0;
    if (this.#partialLength < FRAME_HEADER_BYTES) {
      at = Math.min(FRAME_HEADER_BYTES - this.#partialLength, chunk.length);
      chunk.copy(this.#partial, this.#partialLength, 0, at);
      this.#partialLength += at;
      if (this.#partialLength < FRAME_HEADER_BYTES) return -1;
    }
    const whole = FRAME_HEADER_BYTES + this.#payloadLength(this.#partial, 0);
    this.#makeRoom(whole);
    const taken = Math.min(whole - this.#partialLength, chunk.length - at);
    chunk.copy(this.#partial, this.#partialLength, at, at + taken);
    this.#partialLength += taken;
    if (this.#partialLength < whole) return -1;
    const frame = this.#partial;
    // Its receiver may keep views of a body: the next partial frame gets a buffer of its own.
    this.#partial = NOTHING;
    this.#partialLength = 0;
    return this.#emit(frame, 0, whole) ? at + taken : -1;
  }

  #keep(chunk: Buffer, at: number): void {
    const length = chunk.length - at;
    const whole =
      length < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + this.#payloadLength(chunk, at);
    this.#partialLength = 0;
    this.#makeRoom(whole);
    chunk.copy(this.#partial, 0, at, chunk.length);
    this.#partialLength = length;
  }

  #makeRoom(bytes: number): void {
    if (this.#partial.length >= bytes) return;
    const larger = Buffer.allocUnsafeSlow(bytes);
    this.#partial.copy(larger, 0, 0, this.#partialLength);
    this.#partial = larger;
  }

  #payloadLength(bytes: Buffer, at: number): number {
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    if (length > this.#maxFrameBytes) {
      throw new ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, `a frame of ${length} bytes is too long`);
    }
    return length;
  }

  #emit(bytes: Buffer, at: number, end: number): boolean {
    const streamId =
      (((bytes[at + 5] as number) & 0x7f) << 24) |
      ((bytes[at + 6] as number) << 16) |
      ((bytes[at + 7] as number) << 8) |
      (bytes[at + 8] as number);
    return this.#onFrame(
      bytes[at + 3] as number,
      bytes[at + 4] as number,
      streamId,
      bytes,
      at + FRAME_HEADER_BYTES,
      end,
    );
  }
}
