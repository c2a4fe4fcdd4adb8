/**
 * What a connection sends: frames are written straight into one buffer, and all of a turn of the event loop go to the socket in
 * one write. It knows how much the socket has not taken yet; who must wait for that is its user's business.
 */
import type { Duplex } from "node:stream";
import { Flag, FRAME_HEADER_BYTES, FrameType } from "./frame.ts";

const NOTHING: Buffer = Buffer.alloc(0);
/** A fresh buffer is small, for idle connections are many. */
const FIRST_BUFFER_BYTES = 4 * 1024;
const MAX_BUFFER_BYTES = 64 * 1024;
/** Bodies from this length on are handed to the socket as they are, not copied. */
const REFERENCE_FROM_BYTES = 8 * 1024;
/** Shorter bodies are copied faster by hand than by a call of a built-in. */
const COPY_BY_HAND_BYTES = 48;

export interface OutputEvents {
  /** The socket took everything. */
  onDrain(): void;
  /** A turn's frames go out now: the last moment to add some. */
  onFlush(): void;
}

export class Output {
  readonly #socket: Duplex;
  readonly #events: OutputEvents;
  readonly #highWaterBytes: number;
  #bytes: Buffer = NOTHING;
  /** #bytes[#start, #end) wait; what is before them belongs to #full already. */
  #start = 0;
  #end = 0;
  /** Waits before #bytes, in order. */
  #full: Uint8Array[] = [];
  #fullBytes = 0;
  /** Given to the socket, not taken yet. */
  #inFlight = 0;
  #taken = 0;
  #spare: Buffer | undefined;
  #lent: Buffer | undefined;
  #scheduled = false;
  #ended = false;

  /** @param highWaterBytes from here on it is `blocked`. */
  constructor(socket: Duplex, highWaterBytes: number, events: OutputEvents) {
    this.#socket = socket;
    this.#highWaterBytes = highWaterBytes;
    this.#events = events;
  }

  /** Bytes that the socket has not taken. */
  get waitingBytes(): number {
    return this.#inFlight + this.#fullBytes + this.#end - this.#start;
  }

  /** Whether the socket has yet to take what it was given last. */
  get writing(): boolean {
    return this.#inFlight > 0;
  }

  /** All that the socket took so far: it grows while the peer reads. */
  get taken(): number {
    return this.#taken;
  }

  get blocked(): boolean {
    return this.waitingBytes >= this.#highWaterBytes;
  }

  /** A header block, cut into frames as long as the peer takes them (RFC 9113, section 6.10). */
  headers(streamId: number, block: Uint8Array, endStream: boolean, maxFrameBytes: number): void {
    const endFlag = endStream ? Flag.END_STREAM : 0;
    if (block.length <= maxFrameBytes) {
      this.#header(block.length, FrameType.HEADERS, Flag.END_HEADERS | endFlag, streamId, block.length);
      this.#copy(block, 0, block.length);
      return;
    }
    this.#header(maxFrameBytes, FrameType.HEADERS, endFlag, streamId, maxFrameBytes);
    this.#copy(block, 0, maxFrameBytes);
    for (let at = maxFrameBytes; at < block.length; at += maxFrameBytes) {
      const end = Math.min(at + maxFrameBytes, block.length);
      const flags = end === block.length ? Flag.END_HEADERS : 0;
      this.#header(end - at, FrameType.CONTINUATION, flags, streamId, end - at);
      this.#copy(block, at, end);
    }
  }

  /** A frame of chunk[start, end); a long one is sent from where it is, so nobody may change it. */
  data(streamId: number, chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    const length = end - start;
    const byReference = length >= REFERENCE_FROM_BYTES;
    this.#header(length, FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId, byReference ? 0 : length);
    if (!byReference) {
      this.#copy(chunk, start, end);
      return;
    }
    this.#seal();
    this.#full.push(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
    this.#fullBytes += length;
  }

  /** RST_STREAM or WINDOW_UPDATE: frames of one number. */
  number(type: number, streamId: number, value: number): void {
    this.#header(4, type, 0, streamId, 4);
    this.#number(value);
  }

  settings(pairs: readonly (readonly [number, number])[]): void {
    this.#header(pairs.length * 6, FrameType.SETTINGS, 0, 0, pairs.length * 6);
    for (const [id, value] of pairs) {
      this.#bytes[this.#end++] = id >> 8;
      this.#bytes[this.#end++] = id;
      this.#number(value);
    }
  }

  settingsAck(): void {
    this.#header(0, FrameType.SETTINGS, Flag.ACK, 0, 0);
  }

  /** @param data eight bytes at `start`. */
  ping(ack: boolean, data: Uint8Array, start: number): void {
    this.#header(8, FrameType.PING, ack ? Flag.ACK : 0, 0, 8);
    this.#copy(data, start, start + 8);
  }

  goaway(lastStreamId: number, code: number): void {
    this.#header(8, FrameType.GOAWAY, 0, 0, 8);
    this.#number(lastStreamId);
    this.#number(code);
  }

  /** Bytes outside of any frame: a client's preface. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#copy(bytes, 0, bytes.length);
  }

  /** Gives its buffers back where a connection is silent; the next frame gets new ones. */
  rest(): void {
    if (this.waitingBytes > 0) return;
    this.#bytes = NOTHING;
    this.#start = 0;
    this.#end = 0;
    this.#spare = undefined;
  }

  /** Sends what waits, then ends the socket. */
  end(): void {
    this.#ended = true;
    this.#flush();
    this.#socket.end();
  }

  /** Forgets what waits: the socket is gone. */
  discard(): void {
    this.#ended = true;
    this.#full = [];
    this.#fullBytes = 0;
    this.#end = this.#start;
  }

  #header(length: number, type: number, flags: number, streamId: number, room: number): void {
    this.#reserve(FRAME_HEADER_BYTES + room);
    const bytes = this.#bytes;
    const at = this.#end;
    bytes[at] = length >> 16;
    bytes[at + 1] = length >> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    bytes[at + 5] = streamId >> 24;
    bytes[at + 6] = streamId >> 16;
    bytes[at + 7] = streamId >> 8;
    bytes[at + 8] = streamId;
    this.#end = at + FRAME_HEADER_BYTES;
  }

  #number(value: number): void {
    const bytes = this.#bytes;
    const at = this.#end;
    bytes[at] = value >> 24;
    bytes[at + 1] = value >> 16;
    bytes[at + 2] = value >> 8;
    bytes[at + 3] = value;
    this.#end = at + 4;
  }

  #copy(source: Uint8Array, start: number, end: number): void {
    if (end - start <= COPY_BY_HAND_BYTES) {
      const bytes = this.#bytes;
      let at = this.#end;
      for (let i = start; i < end; i++) bytes[at++] = source[i] as number;
      this.#end = at;
      return;
    }
    this.#bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.#end);
    this.#end += end - start;
  }

  #reserve(bytes: number): void {
    if (!this.#scheduled && !this.#ended) {
      this.#scheduled = true;
      setImmediate(this.#onImmediate);
    }
    if (this.#end + bytes <= this.#bytes.length) return;
    this.#seal();
    // The rest of the old buffer is left unused; it goes with the garbage once it is sent.
    const size = Math.max(bytes, FIRST_BUFFER_BYTES, Math.min(this.#bytes.length * 2, MAX_BUFFER_BYTES));
    this.#bytes = this.#spare !== undefined && this.#spare.length >= size ? this.#spare : Buffer.allocUnsafeSlow(size);
    this.#spare = undefined;
    this.#start = 0;
    this.#end = 0;
  }

  /** Closes the current part, so that something else may come behind it. */
  #seal(): void {
    if (this.#end === this.#start) return;
    this.#full.push(this.#bytes.subarray(this.#start, this.#end));
    this.#fullBytes += this.#end - this.#start;
    this.#start = this.#end;
  }

  readonly #onImmediate = (): void => {
    this.#scheduled = false;
    if (this.#ended) return;
    this.#events.onFlush();
    // A flush that is under way takes what came meanwhile with it when it is done: the socket never holds more than one.
    if (!this.#ended && this.#inFlight === 0) this.#flush();
  };

  #flush(): void {
    const waiting = this.#fullBytes + this.#end - this.#start;
    if (waiting === 0) return;
    this.#inFlight += waiting;
    if (this.#full.length === 0) {
      const part = this.#bytes.subarray(this.#start, this.#end);
      this.#swap();
      this.#socket.write(part, this.#onWritten);
      return;
    }
    this.#seal();
    const parts = this.#full;
    this.#full = [];
    this.#fullBytes = 0;
    this.#swap();
    this.#socket.cork();
    for (let i = 0; i < parts.length - 1; i++) this.#socket.write(parts[i]);
    this.#socket.write(parts[parts.length - 1], this.#onWritten);
    this.#socket.uncork();
  }

  /** Lends the current buffer to the socket and goes on with the other one. */
  #swap(): void {
    this.#lent = this.#bytes;
    const size = Math.min(
      MAX_BUFFER_BYTES,
      this.#end > this.#bytes.length / 2 ? this.#bytes.length * 2 : this.#bytes.length,
    );
    this.#bytes = this.#spare ?? Buffer.allocUnsafeSlow(size);
    this.#spare = undefined;
    this.#start = 0;
    this.#end = 0;
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error) return;
    this.#taken += this.#inFlight;
    this.#inFlight = 0;
    // Two buffers take turns: the one that grew is kept.
    if (this.#lent !== undefined && (this.#spare === undefined || this.#spare.length < this.#lent.length)) {
      this.#spare = this.#lent;
    }
    this.#lent = undefined;
    if (this.#ended) return;
    this.#events.onDrain();
    if (!this.#ended) this.#flush();
  };
}
