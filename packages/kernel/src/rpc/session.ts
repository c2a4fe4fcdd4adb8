/**
 * One HTTP/2 connection to a peer: opened and proved by the peer's SETTINGS, watched with pings, ended without ever
 * raising an error that nobody hears. Which of several carries a request is the pool's business.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { ConnectionOptions } from "node:tls";
import { isUnreachable, PeerFault } from "./peer-fault.ts";

/** How to trust a peer and to show oneself; as in node:tls. */
export type ChannelTls = Pick<ConnectionOptions, "ca" | "cert" | "key" | "servername">;

export interface SessionOptions {
  /** "http://127.0.0.1:4101", or "https://…" with `tls`. */
  readonly origin: string;
  readonly tls?: ChannelTls | undefined;
  /** How long the peer may take until its SETTINGS are here. */
  readonly connectTimeoutMs: number;
  /** After so long without a byte from the peer it is asked for a sign of life, while a call waits for it. */
  readonly pingIntervalMs: number;
  /** How long it may take for that sign, before the connection is given up with all its calls. */
  readonly pingTimeoutMs: number;
}

export interface Session {
  /** Whether new requests may be sent: it is open, and the peer sent no GOAWAY. */
  usable(): boolean;
  openStreams(): number;
  /** Whether four fifths of the streams that the peer allows at once are open. */
  crowded(): boolean;
  /** The error code of the GOAWAY that came; undefined: none. */
  goawayCode(): number | undefined;
  /** Resolves when it is over, its last stream included. */
  readonly closed: Promise<void>;
  /** Resolves when the peer is known to be alive, after a long silence by asking it; whether it is. */
  alive(): Promise<boolean>;
  /** @throws Error of Node where the session ended meanwhile; nothing was sent then. */
  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream;
  /** What ended a stream that is closed without its answer being complete. */
  faultOf(stream: ClientHttp2Stream): PeerFault;
  /** Takes no more requests, lets those under way finish. */
  close(): void;
  destroy(): void;
}

/** How much of an answer may be on its way before it is read; HTTP/2's own 64 KiB make large answers slow. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 8 * 1024 * 1024;
/** Node's own 10 are too few for many large messages at once: it resets streams. */
const MAX_SESSION_MEMORY_MB = 64;

/** @throws PeerFault `unreachable`, or `http2_refused` where there was a connection but no SETTINGS on it. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const session = connect(options.origin, {
    ...options.tls,
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
    settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
  });
  // For ever: Node may raise an error of a session that everybody has already forgotten.
  session.on("error", () => {});
  await settingsOf(session, options);
  session.setLocalWindowSize(SESSION_WINDOW_BYTES);
  return watched(session, options);
}

function settingsOf(session: ClientHttp2Session, { origin, connectTimeoutMs }: SessionOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    let connected = false;
    const fail = (message: string, cause?: unknown) => {
      clearTimeout(timer);
      const refused = (connected && !isUnreachable(cause)) || isAlpnRefusal(cause);
      const kind = refused ? "http2_refused" : "unreachable";
      reject(new PeerFault(kind, false, `${origin} ${message}`, cause));
      session.destroy();
    };
    const timer = setTimeout(() => {
      // A peer that says nothing would not speak HTTP/1.1 either.
      connected = false;
      fail(`sent no HTTP/2 settings within ${connectTimeoutMs} ms`);
    }, connectTimeoutMs);
    session.once("connect", () => {
      connected = true;
    });
    session.once("error", (error) => fail(connected ? "does not speak HTTP/2" : "cannot be reached", error));
    session.once("close", () => fail("closed the connection before its HTTP/2 settings came"));
    session.once("remoteSettings", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The TLS alert of a peer that speaks none of the protocols offered (RFC 7301, section 3.2): HTTP/2 was the only one. */
function isAlpnRefusal(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL";
}

function watched(session: ClientHttp2Session, options: SessionOptions): Session {
  let openStreams = 0;
  let goawayCode: number | undefined;
  let lastStreamId = Number.POSITIVE_INFINITY;
  let ending = "";
  let heardAt = performance.now();
  let ping: Promise<boolean> | undefined;
  let timer: NodeJS.Timeout | undefined;

  session.on("goaway", (code, lastId) => {
    goawayCode = code;
    lastStreamId = Math.min(lastStreamId, lastId);
    ending ||= `the peer sent GOAWAY with code ${code}`;
  });
  session.on("error", (error) => {
    ending ||= error.message;
  });
  const closed = new Promise<void>((resolve) => {
    session.once("close", () => {
      clearInterval(timer);
      resolve();
    });
  });

  const silentMs = () => performance.now() - heardAt;
  const hear = () => {
    heardAt = performance.now();
  };
  const sendPing = () =>
    new Promise<boolean>((resolve) => {
      const tooLate = setTimeout(() => {
        ending ||= `the peer did not answer a ping within ${options.pingTimeoutMs} ms`;
        session.destroy();
        resolve(false);
      }, options.pingTimeoutMs);
      const answered = (error: Error | null) => {
        clearTimeout(tooLate);
        if (error === null) hear();
        resolve(error === null);
      };
      if (session.destroyed || !session.ping(answered)) answered(new Error("the session ended"));
    });
  const alive = async (): Promise<boolean> => {
    if (silentMs() < options.pingIntervalMs) return true;
    ping ??= sendPing().finally(() => {
      ping = undefined;
    });
    return ping;
  };
  const streamClosed = () => {
    openStreams -= 1;
    if (openStreams > 0) return;
    clearInterval(timer);
    timer = undefined;
  };

  return {
    usable: () => !session.closed && !session.destroyed && goawayCode === undefined,
    openStreams: () => openStreams,
    crowded: () => openStreams >= 0.8 * (session.remoteSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY),
    goawayCode: () => goawayCode,
    closed,
    alive,
    request(headers, endStream) {
      const stream = session.request(headers, { endStream });
      openStreams += 1;
      timer ??= setInterval(alive, options.pingIntervalMs).unref();
      // The close that follows tells; an error without a listener would end the process.
      stream.on("error", () => {});
      stream.on("response", hear);
      stream.on("data", hear).pause();
      stream.once("close", streamClosed);
      return stream;
    },
    faultOf(stream) {
      const code = stream.rstCode;
      if (code === constants.NGHTTP2_HTTP_1_1_REQUIRED) {
        return new PeerFault("http2_refused", false, `${options.origin} asks for HTTP/1.1`);
      }
      const refused = code === constants.NGHTTP2_REFUSED_STREAM || (stream.id ?? 0) > lastStreamId;
      const how = ending || (session.destroyed ? "the connection was lost" : `it was reset with code ${code}`);
      return new PeerFault("broken", !refused, `the stream to ${options.origin} ended without an answer: ${how}`);
    },
    close: () => session.close(),
    destroy: () => session.destroy(),
  };
}
