/**
 * What server and client connections have in common: frames in, frames out, streams in between (RFC 9113, sections 4 to 6).
 * What differs, who opens streams and what their first header block is, is the role's.
 */
import type { Duplex } from "node:stream";
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { FloodGuard } from "./flood-guard.ts";
import { FrameType } from "./frame.ts";
import { FrameHandler } from "./frame-handler.ts";
import { FrameReader } from "./frame-reader.ts";
import type { HeaderList } from "./header-list.ts";
import type { Limits } from "./limits.ts";
import { Output } from "./output.ts";
import { Pings } from "./pings.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { Sender } from "./sender.ts";
import { INITIAL_WINDOW_BYTES, PeerSettings, Setting } from "./settings.ts";
import type { Stream, StreamLink } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";
import { Watch } from "./watch.ts";

/** Why a connection ended; undefined: as both sides wished. */
export type CloseReason = ConnectionFault | Error | undefined;

export interface Role {
  readonly isServer: boolean;
  /** What the peer sends before its first frame. */
  readonly preface: Uint8Array;
  /** A header block for a stream that is not there. */
  onUnknownBlock(id: number, list: HeaderList, endStream: boolean, selfDependent: boolean): void;
  /** Clients: a header block before an answer's head is there. */
  onHead(stream: Stream, list: HeaderList, endStream: boolean): void;
  onSettings(): void;
  /** GOAWAY came; what it means for streams is done after this. */
  onGoaway(lastStreamId: number, code: number): void;
  onClose(reason: CloseReason): void;
}

const MAX_STREAM_ID = 2 ** 31 - 1;
/** How long the peer may take to close its side after ours is closed. */
const LINGER_MS = 1_000;

export class Connection implements StreamLink {
  readonly limits: Limits;
  readonly peer = new PeerSettings();
  readonly streams = new StreamTable();
  readonly output: Output;
  readonly sender: Sender;
  readonly guard: FloodGuard;
  readonly pings: Pings;
  /** What all streams together may receive. */
  readonly window: ReceiveWindow;
  /** The time of the last look at the clock, in ms. */
  now: number;
  heardAt: number;
  /** No streams are taken or opened any more. */
  draining = false;
  /** The socket's writing side is closed, or about to be. */
  ended = false;
  settingsReceived = false;
  settingsAcknowledged = false;
  /** Since when a frame, or a header block, is incomplete; 0: none is. */
  incompleteSince = 0;
  readonly #socket: Duplex;
  readonly #role: Role;
  readonly #clock: () => number;
  readonly #frames: FrameHandler;
  readonly #reader: FrameReader;
  readonly #watch: Watch;
  #prefaceAt = 0;
  /** What our GOAWAY said; undefined: there was none, but perhaps the first of a graceful end. */
  #lastTaken: number | undefined;
  #reason: CloseReason;
  #closed = false;
  /** Counts frames, to know whether an incomplete one is still the same. */
  #frameCount = 0;

  constructor(socket: Duplex, limits: Limits, role: Role, clock: () => number) {
    this.#socket = socket;
    this.limits = limits;
    this.#role = role;
    this.#clock = clock;
    this.now = clock();
    this.heardAt = this.now;
    this.guard = new FloodGuard(limits, this.now);
    this.#frames = new FrameHandler(this, role);
    this.#reader = new FrameReader(limits.maxFrameBytes, (type, flags, id, bytes, start, end) => {
      this.#frameCount += 1;
      this.#frames.onFrame(type, flags, id, bytes, start, end);
      return !this.ended;
    });
    this.window = new ReceiveWindow(limits.connectionWindowBytes, limits.connectionWindowBytes);
    this.output = new Output(socket, limits.outputHighWaterBytes, {
      onFlush: () => this.#onFlush(),
      onDrain: () => this.sender.resume(this.now),
    });
    this.sender = new Sender(this.output, this.peer, this.guard, { onSent: (stream) => this.closeIfDone(stream) });
    this.pings = new Pings(this.output);
    this.#watch = new Watch(this);
  }

  /** Sends the first frames and begins to listen. */
  start(preface: Uint8Array | undefined, settings: readonly (readonly [number, number])[]): void {
    const { limits, output } = this;
    if (preface !== undefined) output.raw(preface);
    output.settings([
      ...settings,
      [Setting.HEADER_TABLE_SIZE, limits.headerTableBytes],
      [Setting.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
      [Setting.MAX_FRAME_SIZE, limits.maxFrameBytes],
      [Setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes],
    ]);
    const more = limits.connectionWindowBytes - INITIAL_WINDOW_BYTES;
    if (more > 0) output.number(FrameType.WINDOW_UPDATE, 0, more);
    this.#watch.start(this.now);
    this.#socket.on("error", (error) => {
      this.#reason ??= error;
      this.destroy();
    });
    this.#socket.on("close", () => this.#onSocketClose());
    this.#socket.on("end", () => {
      this.destroy(this.streams.size > 0 ? new Error("the peer closed the connection") : undefined);
    });
    this.#socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    // Its "close" may have been before we listened.
    if (this.#socket.destroyed) setImmediate(() => this.#onSocketClose());
  }

  /** The connection is over because of the peer: says why and closes. */
  fault(fault: ConnectionFault): void {
    if (this.ended) return;
    this.#reason = fault;
    this.#goaway(fault.code);
    this.end();
    this.#resetAll();
  }

  /** Closes the writing side once all is written; the peer gets a moment to close its own. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.draining = true;
    this.output.end();
    this.#watch.linger(this.now, LINGER_MS);
  }

  destroy(reason?: Error): void {
    this.ended = true;
    this.draining = true;
    this.#reason ??= reason;
    this.output.discard();
    this.#socket.destroy();
    this.#resetAll();
  }

  tick(): number {
    this.now = this.#clock();
    this.guard.tick(this.now);
    return this.now;
  }

  /** Ends a stream that broke the rules, whether it is there or not (RFC 9113, section 5.4.2). */
  streamFault(id: number, code: number): void {
    this.guard.reset();
    this.#reset(id, code);
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    this.drop(stream);
    stream.events.onReset(stream, code, "fault");
  }

  /** Ends a stream whose output waited too long. */
  stall(stream: Stream): void {
    this.#reset(stream.id, ErrorCode.CANCEL);
    this.drop(stream);
    stream.events.onReset(stream, ErrorCode.CANCEL, "stalled");
  }

  /** A stream is over: nothing of it is left here. */
  drop(stream: Stream): void {
    if (!this.streams.delete(stream.id)) return;
    stream.closed = true;
    this.sender.forget(stream);
    if (stream.receiveWindow !== undefined) this.release(stream.receiveWindow.unconsumed);
    if (this.streams.size === 0) this.#watch.idleSince(this.now);
    this.endIfDrained();
  }

  /** What a draining connection waits for. */
  endIfDrained(): void {
    if (this.draining && this.streams.size === 0) this.end();
  }

  closeIfDone(stream: Stream): void {
    if (!stream.localEnded || !stream.remoteEnded || stream.waiting !== undefined || stream.closed) return;
    this.guard.completed();
    this.drop(stream);
    stream.events.onClose?.(stream);
  }

  /** Takes and opens no more streams; ends with the last one. */
  retire(): void {
    if (this.#role.isServer) {
      this.drain();
      return;
    }
    if (this.draining) return;
    this.draining = true;
    this.#goaway(ErrorCode.NO_ERROR);
    this.endIfDrained();
  }

  ping(): Promise<number> {
    return new Promise((resolve) => {
      if (this.ended) resolve(-1);
      else this.pings.send(this.tick(), resolve);
    });
  }

  /** Two steps, so that requests on their way are still answered (RFC 9113, section 6.8). Servers only. */
  drain(): void {
    if (this.draining || this.ended) return;
    const final = () => {
      if (this.draining || this.ended) return;
      this.draining = true;
      this.#goaway(ErrorCode.NO_ERROR);
      this.endIfDrained();
    };
    if (!this.#watch.beginDrain(this.now, final)) return;
    this.output.goaway(MAX_STREAM_ID, ErrorCode.NO_ERROR);
    this.pings.send(this.now, final);
  }

  // What streams ask for.

  sendHeaders(stream: Stream, block: Uint8Array, endStream: boolean): void {
    this.sender.headers(stream, block, endStream, this.now);
  }

  sendData(stream: Stream, chunk: Uint8Array, endStream: boolean): boolean {
    try {
      return this.sender.data(stream, chunk, endStream, this.now);
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  resetStream(stream: Stream, code: number): void {
    this.#reset(stream.id, code);
    this.drop(stream);
  }

  consumed(stream: Stream, bytes: number): void {
    const window = stream.receiveWindow;
    if (window === undefined) return;
    const taken = Math.min(bytes, window.unconsumed);
    const increment = window.consume(taken);
    if (increment > 0 && !stream.remoteEnded) this.output.number(FrameType.WINDOW_UPDATE, stream.id, increment);
    this.release(taken);
  }

  /** So many bytes need no memory any more, whichever stream they were of. */
  release(bytes: number): void {
    const increment = this.window.consume(bytes);
    if (increment > 0 && !this.ended) this.output.number(FrameType.WINDOW_UPDATE, 0, increment);
  }

  /** Names the last stream taken, which later ones may not raise (RFC 9113, section 6.8); a client takes none. */
  #goaway(code: number): void {
    this.#lastTaken ??= this.#role.isServer ? this.streams.newest : 0;
    this.output.goaway(this.#lastTaken, code);
  }

  #reset(id: number, code: number): void {
    this.streams.markReset(id);
    if (!this.ended) this.output.number(FrameType.RST_STREAM, id, code);
  }

  #resetAll(): void {
    this.pings.fail();
    for (const stream of [...this.streams.all()]) {
      // Whoever is told of one may give up others.
      if (stream.closed) continue;
      this.drop(stream);
      stream.events.onReset(stream, ErrorCode.CANCEL, "connection");
    }
  }

  #onSocketClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.stop();
    this.destroy();
    this.#role.onClose(this.#reason);
  }

  #onFlush(): void {
    // A turn's answers may be many; that the socket did not even take those of the turn before tells the one who does not read.
    if (!this.output.writing || this.output.waitingBytes <= this.limits.maxOutputBytes) return;
    this.#reason ??= new ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "the peer asks and does not read");
    this.destroy();
  }

  #fail(error: unknown): void {
    if (error instanceof ConnectionFault) {
      this.fault(error);
      return;
    }
    // Somebody's callback threw: what is half read cannot be gone on with.
    this.fault(new ConnectionFault(ErrorCode.INTERNAL_ERROR, "a callback failed"));
    throw error;
  }

  #onChunk(chunk: Buffer): void {
    if (this.ended) return;
    this.tick();
    this.heardAt = this.now;
    const frames = this.#frameCount;
    try {
      const rest = this.#prefaceAt < this.#role.preface.length ? this.#readPreface(chunk) : chunk;
      if (rest.length > 0) this.#reader.push(rest);
    } catch (error) {
      this.#fail(error);
    }
    if (this.#frames.blockIncomplete) this.incompleteSince ||= this.now;
    else if (!this.#reader.waitsForControl()) this.incompleteSince = 0;
    else if (this.incompleteSince === 0 || this.#frameCount !== frames) this.incompleteSince = this.now;
  }

  #readPreface(chunk: Buffer): Buffer {
    const { preface } = this.#role;
    const length = Math.min(preface.length - this.#prefaceAt, chunk.length);
    for (let i = 0; i < length; i++) {
      if (chunk[i] !== preface[this.#prefaceAt + i]) {
        throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the peer does not speak HTTP/2");
      }
    }
    this.#prefaceAt += length;
    return chunk.subarray(length);
  }
}
