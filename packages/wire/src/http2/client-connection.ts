/**
 * The client's side of an HTTP/2 connection over any duplex socket that is connected, or about to be. Which of several
 * connections carries a request, and whether one is repeated, is its user's business.
 */
import type { Duplex } from "node:stream";
import { type CloseReason, Connection, type Role } from "./connection.ts";
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { PREFACE } from "./frame.ts";
import type { HeaderList } from "./header-list.ts";
import { type Fields, HpackEncoder } from "./hpack-encoder.ts";
import { type Limits, withDefaults } from "./limits.ts";
import { Setting } from "./settings.ts";
import { Stream, type StreamEvents } from "./stream.ts";

export interface ClientOptions {
  readonly limits?: Partial<Limits> | undefined;
  /** The peer's SETTINGS came: it speaks HTTP/2. Called again when it changes them. */
  readonly onSettings?: (() => void) | undefined;
  /** It takes no new requests; those above `lastStreamId` have ended as `refused`. */
  readonly onGoaway?: ((lastStreamId: number, code: number) => void) | undefined;
  /** The connection is over. @param reason undefined: as both sides wished. */
  readonly onClose?: ((reason: CloseReason) => void) | undefined;
  /** ms that only grow. Default performance.now. */
  readonly clock?: (() => number) | undefined;
}

export interface Request {
  /** Pseudo-header fields first; kept by identity, so use the same array for all requests that have these in common. */
  readonly head: Fields;
  /** Fields of this request alone. */
  readonly rest?: Fields | undefined;
  /** Further names that no table on the way may remember, as `HeaderList.sensitive` has them. */
  readonly sensitive?: readonly string[] | undefined;
  readonly endStream: boolean;
  readonly events: StreamEvents;
}

export interface ClientConnection {
  /** How many requests it takes now; 0: it is full, ends, or has too much to send. */
  room(): number;
  openStreams(): number;
  /** What the peer allows at a time; Infinity until it says otherwise. */
  maxConcurrentStreams(): number;
  /** @returns undefined where there is no room; nothing was sent then. @throws TypeError where a field may not be sent. */
  request(request: Request): Stream | undefined;
  /** Asks the peer for a sign of life. @returns the round trip in ms; -1: the connection ended. */
  ping(): Promise<number>;
  /** Takes no more requests, closes after the last answer. */
  close(): void;
  /** Cuts it; streams end with `onReset`. */
  destroy(): void;
}

const MAX_STREAM_ID = 2 ** 31 - 1;

/** Speaks HTTP/2 at once, without waiting for the peer's settings. */
export function openConnection(socket: Duplex, options: ClientOptions): ClientConnection {
  const role = new ClientRole(options);
  const connection = new Connection(
    socket,
    withDefaults(options.limits),
    role,
    options.clock ?? (() => performance.now()),
  );
  role.connection = connection;
  connection.streams.newest = -1;
  connection.start(PREFACE, [[Setting.ENABLE_PUSH, 0]]);
  return {
    room: () => role.room(),
    openStreams: () => connection.streams.size,
    maxConcurrentStreams: () => connection.peer.maxConcurrentStreams,
    request: (request) => role.request(request),
    ping: () => connection.ping(),
    close: () => connection.retire(),
    destroy: () => connection.destroy(),
  };
}

class ClientRole implements Role {
  readonly isServer = false;
  readonly preface = new Uint8Array(0);
  connection: Connection | undefined;
  readonly #options: ClientOptions;
  readonly #encoder = new HpackEncoder();
  #lastTaken = MAX_STREAM_ID;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  room(): number {
    const { draining, ended, streams, peer, output, limits } = this.connection as Connection;
    if (draining || ended || streams.newest >= MAX_STREAM_ID || output.waitingBytes >= limits.maxOutputBytes) return 0;
    return Math.max(0, peer.maxConcurrentStreams - streams.size);
  }

  request({ head, rest, sensitive, endStream, events }: Request): Stream | undefined {
    if (this.room() === 0) return undefined;
    const connection = this.connection as Connection;
    const { streams, output, peer } = connection;
    const block = this.#encoder.encode(head, rest, sensitive);
    streams.newest += 2;
    const bodiless = isHead(head) || (rest !== undefined && isHead(rest));
    const stream = new Stream(streams.newest, peer.initialWindowBytes, events, connection, bodiless);
    streams.add(stream);
    stream.localEnded = endStream;
    // Blocks share a table with those before them: they go out in the order in which they were encoded.
    output.headers(stream.id, block, endStream, peer.maxFrameBytes);
    return stream;
  }

  onUnknownBlock(id: number): void {
    const { streams } = this.connection as Connection;
    if (streams.isIdle(id)) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream nobody opened");
    if (streams.wasReset(id)) return;
    throw new ConnectionFault(ErrorCode.STREAM_CLOSED, "HEADERS on a stream that is closed");
  }

  onHead(stream: Stream, list: HeaderList, endStream: boolean): void {
    const connection = this.connection as Connection;
    const isInformational = list.status.startsWith("1");
    if (list.oversize || list.responseFault() !== undefined || (isInformational && endStream)) {
      connection.streamFault(stream.id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    if (isInformational) {
      connection.guard.control();
      stream.events.onInformational?.(stream, list);
      return;
    }
    stream.headReceived = true;
    const isEmpty = stream.bodiless || list.status === "204" || list.status === "304";
    if (!isEmpty) stream.expectedBytes = list.contentLength;
    if (endStream && stream.expectedBytes > 0) {
      connection.streamFault(stream.id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    stream.remoteEnded = endStream;
    stream.events.onHeaders?.(stream, list, endStream);
    if (endStream) connection.closeIfDone(stream);
  }

  onSettings(): void {
    this.#encoder.limitTable((this.connection as Connection).peer.headerTableBytes);
    this.#options.onSettings?.();
  }

  onGoaway(lastStreamId: number, code: number): void {
    const connection = this.connection as Connection;
    const { streams } = connection;
    this.#lastTaken = Math.min(this.#lastTaken, lastStreamId);
    connection.draining = true;
    for (const stream of [...streams.all()]) {
      if (stream.id <= this.#lastTaken || stream.closed) continue;
      streams.markReset(stream.id);
      connection.drop(stream);
      stream.events.onReset(stream, ErrorCode.REFUSED_STREAM, "refused");
    }
    this.#options.onGoaway?.(lastStreamId, code);
    connection.endIfDrained();
  }

  onClose(reason: CloseReason): void {
    this.#options.onClose?.(reason);
  }
}

function isHead(fields: Fields): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === ":method") return fields[i + 1] === "HEAD";
  }
  return false;
}
