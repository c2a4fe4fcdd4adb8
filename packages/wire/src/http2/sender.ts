/**
 * What streams send, as far as the peer's windows and the socket let them (RFC 9113, section 6.9). What does not fit waits
 * in its stream; streams that wait take turns.
 */
import type { FloodGuard } from "./flood-guard.ts";
import type { Output } from "./output.ts";
import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES, type PeerSettings } from "./settings.ts";
import type { Stream, Waiting } from "./stream.ts";

/** What a stream may send before it is the next one's turn. */
const TURN_BYTES = 64 * 1024;
/** A peer that lets through less than this at a time, though more waits, makes us work for nothing (CVE-2019-9511). */
const TINY_BYTES = 128;
/** Less than this between two looks at the clock is no progress. */
const PROGRESS_BYTES = 1024;

/** A table size update to 0 (RFC 7541, section 6.3): a server's blocks use no table. */
const NO_TABLE = Buffer.from([0x20]);

export interface SenderEvents {
  /** The last frame of a stream is written. */
  onSent(stream: Stream): void;
}

export class Sender {
  readonly #output: Output;
  readonly #peer: PeerSettings;
  readonly #guard: FloodGuard;
  readonly #events: SenderEvents;
  #window = INITIAL_WINDOW_BYTES;
  /** Streams whose next frame is a header block wait for the socket alone; the others also for the connection's window. */
  readonly #readyHeaders = new Set<Stream>();
  readonly #readyData = new Set<Stream>();
  #pumping = false;
  #mustTellTable = false;

  constructor(output: Output, peer: PeerSettings, guard: FloodGuard, events: SenderEvents) {
    this.#output = output;
    this.#peer = peer;
    this.#guard = guard;
    this.#events = events;
  }

  headers(stream: Stream, block: Uint8Array, endStream: boolean, now: number): void {
    if (stream.waiting !== undefined || this.#output.blocked) {
      this.#wait(stream, { bytes: block, isHeaders: true, endStream, at: 0 }, now);
      return;
    }
    this.#sendHeaders(stream, block, endStream);
    if (endStream) this.#events.onSent(stream);
  }

  /** The peer made HPACK's table smaller: the next block that goes out tells that we use none (RFC 9113, section 4.3.1). */
  giveUpTable(): void {
    this.#mustTellTable = true;
  }

  /** @returns whether all of it is written. */
  data(stream: Stream, chunk: Uint8Array, endStream: boolean, now: number): boolean {
    const length = chunk.length;
    const fits = length <= stream.sendWindow && length <= this.#window && length <= this.#peer.maxFrameBytes;
    // An empty frame needs no window; a negative one holds nothing back that has no bytes.
    if (stream.waiting === undefined && (fits || length === 0) && !this.#output.blocked) {
      stream.sendWindow -= length;
      this.#window -= length;
      this.#output.data(stream.id, chunk, 0, length, endStream);
      if (endStream) this.#events.onSent(stream);
      return true;
    }
    this.#wait(stream, { bytes: chunk, isHeaders: false, endStream, at: 0 }, now);
    this.#pump(now);
    return stream.waiting === undefined;
  }

  /** @returns false where the window becomes larger than any may be. */
  enlarge(stream: Stream, increment: number, now: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW_BYTES) return false;
    if (stream.waiting !== undefined) {
      this.#queue(stream);
      this.#pump(now);
    }
    return true;
  }

  /** @returns false where the window becomes larger than any may be. */
  enlargeAll(increment: number, now: number): boolean {
    this.#window += increment;
    if (this.#window > MAX_WINDOW_BYTES) return false;
    this.#pump(now);
    return true;
  }

  /** The socket has room again. */
  resume(now: number): void {
    if (this.#readyHeaders.size > 0 || this.#readyData.size > 0) this.#pump(now);
  }

  forget(stream: Stream): void {
    if (stream.waiting === undefined) return;
    stream.waiting = undefined;
    this.#readyHeaders.delete(stream);
    this.#readyData.delete(stream);
  }

  #wait(stream: Stream, item: Waiting, now: number): void {
    if (stream.waiting === undefined) {
      stream.waiting = [];
      stream.waitingSince = now;
      stream.sentSince = 0;
    }
    stream.waiting.push(item);
    this.#queue(stream);
  }

  #queue(stream: Stream): void {
    const next = stream.waiting?.[0];
    if (next === undefined) return;
    if (next.isHeaders) this.#readyHeaders.add(stream);
    else if (stream.sendWindow > 0 || next.bytes.length === next.at) this.#readyData.add(stream);
  }

  #pump(now: number): void {
    // `onDrain` may send more, which comes here again: the loop below sees it.
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (!this.#output.blocked) {
        const ready = this.#readyHeaders.size > 0 ? this.#readyHeaders : this.#window > 0 ? this.#readyData : undefined;
        const stream = ready?.values().next().value;
        if (ready === undefined || stream === undefined) return;
        ready.delete(stream);
        this.#turn(stream, now);
      }
    } finally {
      this.#pumping = false;
    }
  }

  #turn(stream: Stream, now: number): void {
    let left = TURN_BYTES;
    for (;;) {
      const waiting = stream.waiting;
      const item = waiting?.[0];
      if (waiting === undefined || item === undefined) return;
      if (!item.isHeaders) {
        left -= this.#sendPart(stream, item, now);
        if (item.at < item.bytes.length) {
          if (left > 0 && stream.sendWindow > 0 && this.#window > 0 && !this.#output.blocked) continue;
          this.#queue(stream);
          return;
        }
      } else this.#sendHeaders(stream, item.bytes, item.endStream);
      waiting.shift();
      if (waiting.length === 0) {
        stream.waiting = undefined;
        if (item.endStream) this.#events.onSent(stream);
        else stream.events.onDrain(stream);
        return;
      }
      if (left <= 0 || this.#output.blocked) {
        this.#queue(stream);
        return;
      }
    }
  }

  #sendHeaders(stream: Stream, block: Uint8Array, endStream: boolean): void {
    const told = this.#mustTellTable ? Buffer.concat([NO_TABLE, block]) : block;
    this.#mustTellTable = false;
    this.#output.headers(stream.id, told, endStream, this.#peer.maxFrameBytes);
  }

  #sendPart(stream: Stream, item: Waiting, now: number): number {
    const left = item.bytes.length - item.at;
    const allowed = Math.max(0, Math.min(stream.sendWindow, this.#window));
    const length = Math.min(left, allowed, this.#peer.maxFrameBytes);
    if (length === 0 && left > 0) return 0;
    if (length < left && length < TINY_BYTES) this.#guard.control();
    this.#output.data(stream.id, item.bytes, item.at, item.at + length, item.endStream && length === left);
    item.at += length;
    stream.sendWindow -= length;
    this.#window -= length;
    stream.sentSince += length;
    if (stream.sentSince >= PROGRESS_BYTES) {
      stream.sentSince = 0;
      stream.waitingSince = now;
    }
    return length;
  }
}
