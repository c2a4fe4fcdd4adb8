/**
 * The server's side of an HTTP/2 connection over any duplex socket: plain with prior knowledge, or TLS whose ALPN chose h2.
 * It hands out requests that obey RFC 9113; what they mean is its user's business.
 */
import type { Duplex } from "node:stream";
import { type CloseReason, Connection, type Role } from "./connection.ts";
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { PREFACE } from "./frame.ts";
import type { HeaderList } from "./header-list.ts";
import { encodeBlock } from "./hpack-encoder.ts";
import { type Limits, withDefaults } from "./limits.ts";
import { Setting } from "./settings.ts";
import { Stream, type StreamEvents } from "./stream.ts";

export interface ServerOptions {
  readonly limits?: Partial<Limits> | undefined;
  /**
   * A request. `endStream`: nothing is to come of it. @returns who is told of the rest; set `stream.events` first where the stream
   * may end before that, by answering at once.
   */
  readonly onStream: (stream: Stream, headers: HeaderList, endStream: boolean) => StreamEvents;
  /** The connection is over. @param reason undefined: as both sides wished. */
  readonly onClose?: ((reason: CloseReason) => void) | undefined;
  /** ms that only grow. Default performance.now. */
  readonly clock?: (() => number) | undefined;
}

export interface ServerConnection {
  openStreams(): number;
  /** Takes requests that are on their way, refuses later ones, closes after the last answer (RFC 9113, section 6.8). */
  drain(): void;
  /** Asks the peer for a sign of life. @returns the round trip in ms; -1: the connection ended. */
  ping(): Promise<number>;
  /** Cuts it; streams end with `onReset`. */
  destroy(): void;
}

const TOO_LARGE = encodeBlock([":status", "431"]);
/** Events of a stream until its user says who gets them. */
const NOBODY: StreamEvents = { onData() {}, onTrailers() {}, onReset() {}, onDrain() {} };

/** Serves what comes on the socket, from its first byte on. */
export function serveConnection(socket: Duplex, options: ServerOptions): ServerConnection {
  const role = new ServerRole(options);
  const connection = new Connection(
    socket,
    withDefaults(options.limits),
    role,
    options.clock ?? (() => performance.now()),
  );
  role.connection = connection;
  connection.start(undefined, [[Setting.MAX_CONCURRENT_STREAMS, connection.limits.maxConcurrentStreams]]);
  return {
    openStreams: () => connection.streams.size,
    drain: () => connection.drain(),
    ping: () => connection.ping(),
    destroy: () => connection.destroy(),
  };
}

class ServerRole implements Role {
  readonly isServer = true;
  readonly preface = PREFACE;
  connection: Connection | undefined;
  readonly #options: ServerOptions;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  onUnknownBlock(id: number, list: HeaderList, endStream: boolean, selfDependent: boolean): void {
    const connection = this.connection as Connection;
    const { streams, limits } = connection;
    if ((id & 1) === 0) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client's streams have odd numbers");
    if (id <= streams.newest) {
      // Trailers may cross a reset of ours.
      if (streams.wasReset(id)) return;
      throw new ConnectionFault(ErrorCode.STREAM_CLOSED, "HEADERS on a stream that is closed");
    }
    streams.newest = id;
    if (connection.draining) {
      // Above the last stream that our GOAWAY named: the client knows that nobody looks at it, nor at what follows it.
      streams.markReset(id);
      return;
    }
    if (streams.size >= limits.maxConcurrentStreams) {
      connection.streamFault(id, ErrorCode.REFUSED_STREAM);
      return;
    }
    if (selfDependent) {
      connection.streamFault(id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    if (!list.oversize && (list.requestFault() !== undefined || (endStream && list.contentLength > 0))) {
      connection.streamFault(id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    const stream = new Stream(id, connection.peer.initialWindowBytes, NOBODY, connection, false);
    streams.add(stream);
    stream.remoteEnded = endStream;
    stream.expectedBytes = list.contentLength;
    if (list.oversize) {
      connection.guard.reset();
      stream.respond(TOO_LARGE, true);
      stream.reset(ErrorCode.NO_ERROR);
      return;
    }
    const events = this.#options.onStream(stream, list, endStream);
    if (stream.events === NOBODY) stream.events = events;
  }

  onHead(): void {
    // Only answers have heads.
  }

  onSettings(): void {
    // Answers use no table; the connection keeps what matters for them.
  }

  onGoaway(): void {
    // The client wants no pushes, and gets none.
  }

  onClose(reason: CloseReason): void {
    this.#options.onClose?.(reason);
  }
}
