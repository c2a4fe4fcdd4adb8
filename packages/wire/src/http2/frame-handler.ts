/**
 * What each frame does to a connection and its streams, with the checks that RFC 9113, section 6, asks of its receiver. Sends
 * nothing but answers to single frames.
 */
import type { Connection, Role } from "./connection.ts";
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { Flag, FrameType } from "./frame.ts";
import { HeaderBlocks } from "./header-blocks.ts";
import type { HeaderList } from "./header-list.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { ReceiveWindow } from "./receive-window.ts";
import type { ResetCause } from "./stream.ts";

export class FrameHandler {
  readonly #connection: Connection;
  readonly #role: Role;
  readonly #decoder: HpackDecoder;
  readonly #blocks: HeaderBlocks;

  constructor(connection: Connection, role: Role) {
    const { limits } = connection;
    this.#connection = connection;
    this.#role = role;
    this.#decoder = new HpackDecoder({
      maxTableBytes: limits.headerTableBytes,
      maxListBytes: limits.maxHeaderListBytes,
      maxMemoBytes: limits.maxMemoBytes,
    });
    this.#blocks = new HeaderBlocks(this.#decoder, limits, (id, list, end, self) => this.#onBlock(id, list, end, self));
  }

  /** Whether a header block waits for its CONTINUATION. */
  get blockIncomplete(): boolean {
    return this.#blocks.incomplete;
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.#blocks.incomplete && type !== FrameType.CONTINUATION) throw wrong("a header block is interrupted");
    if (!this.#connection.settingsReceived && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) {
      throw wrong("the first frame is not SETTINGS");
    }
    switch (type) {
      case FrameType.DATA:
        this.#onData(flags, id, bytes, start, end);
        return;
      case FrameType.HEADERS:
        this.#connection.guard.useful();
        this.#blocks.headers(flags, id, bytes, start, end);
        return;
      case FrameType.CONTINUATION:
        this.#blocks.continuation(flags, id, bytes, start, end);
        return;
      case FrameType.WINDOW_UPDATE:
        this.#onWindowUpdate(id, bytes, start, end);
        return;
      case FrameType.RST_STREAM:
        this.#onReset(id, bytes, start, end);
        return;
      case FrameType.SETTINGS:
        this.#onSettings(flags, id, bytes, start, end);
        return;
      case FrameType.PING:
        if (id !== 0) throw wrong("PING on a stream");
        if (end - start !== 8) throw wrongSize("PING");
        this.#connection.guard.control();
        if ((flags & Flag.ACK) !== 0) this.#connection.pings.answered(bytes, start, this.#connection.now);
        else this.#connection.output.ping(true, bytes, start);
        return;
      case FrameType.GOAWAY:
        this.#onGoaway(id, bytes, start, end);
        return;
      case FrameType.PRIORITY:
        this.#onPriority(id, bytes, start, end);
        return;
      case FrameType.PUSH_PROMISE:
        throw wrong("PUSH_PROMISE, which nobody asked for");
      default:
        this.#connection.guard.control();
    }
  }

  #onData(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw wrong("DATA on stream 0");
    const length = end - start;
    if (!this.#connection.window.take(length))
      throw new ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the window is exceeded");
    let from = start;
    let to = end;
    if ((flags & Flag.PADDED) !== 0) {
      if (from >= to) throw wrongSize("DATA");
      to -= bytes[from++] as number;
      if (to < from) throw wrong("DATA with more padding than payload");
    }
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if (to - from > 0) this.#connection.guard.useful();
    else if (!endStream) this.#connection.guard.control();
    const stream = this.#connection.streams.get(id);
    if (stream === undefined || stream.remoteEnded) {
      this.#connection.release(length);
      if (stream === undefined && this.#connection.streams.isIdle(id))
        throw wrong("DATA on a stream that nobody opened");
      if (stream === undefined && this.#connection.streams.wasReset(id)) return;
      this.#connection.streamFault(id, ErrorCode.STREAM_CLOSED);
      return;
    }
    // Until it acknowledges our settings the peer may think of the initial window, which is never larger than ours.
    const { streamWindowBytes } = this.#connection.limits;
    stream.receiveWindow ??= new ReceiveWindow(streamWindowBytes, streamWindowBytes);
    if (!stream.receiveWindow.take(length)) {
      this.#connection.streamFault(id, ErrorCode.FLOW_CONTROL_ERROR);
      return;
    }
    if (to - from < length) this.#connection.consumed(stream, length - (to - from));
    if (!this.#role.isServer && !stream.headReceived) {
      this.#connection.streamFault(id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    if (stream.expectedBytes >= 0) {
      stream.expectedBytes -= to - from;
      if (stream.expectedBytes < 0 || (endStream && stream.expectedBytes > 0)) {
        this.#connection.streamFault(id, ErrorCode.PROTOCOL_ERROR);
        return;
      }
    }
    if (endStream) stream.remoteEnded = true;
    stream.events.onData(stream, bytes.subarray(from, to), endStream);
    if (endStream) this.#connection.closeIfDone(stream);
  }

  #onBlock(id: number, list: HeaderList, endStream: boolean, selfDependent: boolean): void {
    const stream = this.#connection.streams.get(id);
    if (stream === undefined) {
      this.#role.onUnknownBlock(id, list, endStream, selfDependent);
      return;
    }
    if (stream.remoteEnded) {
      this.#connection.streamFault(id, ErrorCode.STREAM_CLOSED);
      return;
    }
    if (!this.#role.isServer && !stream.headReceived) {
      this.#role.onHead(stream, list, endStream);
      return;
    }
    const isComplete = endStream && stream.expectedBytes <= 0;
    if (!isComplete || selfDependent || list.oversize || list.trailersFault() !== undefined) {
      this.#connection.streamFault(id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    stream.remoteEnded = true;
    stream.events.onTrailers(stream, list);
    this.#connection.closeIfDone(stream);
  }

  #onWindowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw wrongSize("WINDOW_UPDATE");
    const increment = bytes.readUInt32BE(start) & 0x7fffffff;
    if (id === 0) {
      if (increment === 0) throw wrong("WINDOW_UPDATE by nothing");
      if (!this.#connection.sender.enlargeAll(increment, this.#connection.now)) throw tooLargeWindow();
      return;
    }
    const stream = this.#connection.streams.get(id);
    if (stream === undefined) {
      if (this.#connection.streams.isIdle(id)) throw wrong("WINDOW_UPDATE on a stream that nobody opened");
      return;
    }
    if (increment === 0) {
      this.#connection.streamFault(id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    if (!this.#connection.sender.enlarge(stream, increment, this.#connection.now))
      this.#connection.streamFault(id, ErrorCode.FLOW_CONTROL_ERROR);
  }

  #onReset(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw wrong("RST_STREAM on stream 0");
    if (end - start !== 4) throw wrongSize("RST_STREAM");
    if (this.#connection.streams.isIdle(id)) throw wrong("RST_STREAM on a stream that nobody opened");
    this.#connection.guard.reset();
    const stream = this.#connection.streams.get(id);
    if (stream === undefined) return;
    const code = bytes.readUInt32BE(start);
    this.#connection.drop(stream);
    const cause: ResetCause = code === ErrorCode.REFUSED_STREAM ? "refused" : "peer";
    stream.events.onReset(stream, code, cause);
  }

  #onSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw wrong("SETTINGS on a stream");
    if ((flags & Flag.ACK) !== 0) {
      if (end !== start) throw wrongSize("SETTINGS");
      // A second one acknowledges what we never sent; it changes nothing.
      if (this.#connection.settingsAcknowledged) {
        this.#connection.guard.control();
        return;
      }
      this.#connection.settingsAcknowledged = true;
      this.#decoder.acknowledged();
      return;
    }
    if ((end - start) % 6 !== 0) throw wrongSize("SETTINGS");
    if (this.#connection.settingsReceived) this.#connection.guard.control();
    const { initialWindowBytes, headerTableBytes } = this.#connection.peer;
    this.#connection.peer.read(bytes, start, end, !this.#role.isServer);
    this.#connection.settingsReceived = true;
    // A client's encoder tells it itself.
    if (this.#role.isServer && this.#connection.peer.headerTableBytes < headerTableBytes)
      this.#connection.sender.giveUpTable();
    this.#connection.output.settingsAck();
    this.#role.onSettings();
    const delta = this.#connection.peer.initialWindowBytes - initialWindowBytes;
    if (delta === 0) return;
    for (const stream of [...this.#connection.streams.all()]) {
      if (!this.#connection.sender.enlarge(stream, delta, this.#connection.now)) throw tooLargeWindow();
    }
  }

  #onGoaway(id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw wrong("GOAWAY on a stream");
    if (end - start < 8) throw wrongSize("GOAWAY");
    this.#connection.guard.control();
    this.#role.onGoaway(bytes.readUInt32BE(start) & 0x7fffffff, bytes.readUInt32BE(start + 4));
  }

  /** Priorities are checked and ignored: RFC 9113 deprecates them (section 5.3.2). */
  #onPriority(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw wrong("PRIORITY on stream 0");
    this.#connection.guard.control();
    if (end - start !== 5) {
      this.#connection.streamFault(id, ErrorCode.FRAME_SIZE_ERROR);
      return;
    }
    if ((bytes.readUInt32BE(start) & 0x7fffffff) === id) this.#connection.streamFault(id, ErrorCode.PROTOCOL_ERROR);
  }
}

function wrong(message: string): ConnectionFault {
  return new ConnectionFault(ErrorCode.PROTOCOL_ERROR, message);
}

function wrongSize(frame: string): ConnectionFault {
  return new ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, `a ${frame} frame of a wrong length`);
}

function tooLargeWindow(): ConnectionFault {
  return new ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window becomes too large");
}
