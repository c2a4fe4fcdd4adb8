/**
 * One port for HTTP/1.1 and HTTP/2, with or without TLS: looks at what a connection begins with and hands it to a
 * node:http or a node:http2 server. Knows requests only as far as a drain needs; what they mean is its caller's business.
 */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Logger } from "pino";
import { openHttp1 } from "./http1-host.ts";
import { openHttp2 } from "./http2-host.ts";

export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

export interface ListenerOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** PEM texts; undefined: no TLS. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly limits?: Partial<ListenerLimits> | undefined;
  readonly log: Logger;
  readonly onRequest: (request: Request, response: Response) => void;
  /** Gets HTTP/2 requests as core streams, instead of `onRequest`. */
  readonly onStream?: ((stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) | undefined;
}

export interface ListenerLimits {
  /** How long a connection may take for its first bytes and its first request, and a request for its headers. Default 10,000. */
  readonly headersTimeoutMs: number;
  /** All headers of a request together, the request line included. Default 16 KiB. */
  readonly maxHeaderBytes: number;
  /** Requests under way on one HTTP/2 connection. Default 1,000. */
  readonly maxConcurrentStreams: number;
  /** How long a connection may be idle between requests. Default 60,000. */
  readonly keepAliveTimeoutMs: number;
  /** Connections at once; a further one is closed as soon as it is made. Default 10,000. */
  readonly maxConnections: number;
}

export interface Listener {
  /** "127.0.0.1:40123" */
  readonly address: string;
  /** No new connections; connections end after the requests they carry (GOAWAY, `connection: close`). */
  refuse(): void;
  /** Resolves when no connection is left. */
  readonly closed: Promise<void>;
  /** Cuts what is still open. */
  destroy(): void;
}

const DEFAULT_LIMITS: ListenerLimits = {
  headersTimeoutMs: 10_000,
  maxHeaderBytes: 16 * 1024,
  maxConcurrentStreams: 1_000,
  keepAliveTimeoutMs: 60_000,
  maxConnections: 10_000,
};

/** What every HTTP/2 connection begins with (RFC 9113, section 3.4); no HTTP/1.1 request can. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n");

/**
 * Half open: who has sent all of a request may end its side and wait for the answer. Peers that are gone without a word
 * are found after some minutes.
 */
const SOCKETS = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };

export async function openListener(options: ListenerOptions): Promise<Listener> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { log } = options;
  const sockets = new Set<Socket>();
  const http1 = openHttp1(limits, options.onRequest);
  const http2 = openHttp2(limits, options, log);

  const accept = (socket: Socket) => {
    socket.on("error", () => socket.destroy());
    const alpn = (socket as Partial<TLSSocket>).alpnProtocol;
    const hand = (isHttp2: boolean) => (isHttp2 ? http2 : http1).accept(socket);
    if (alpn === "h2" || alpn === "http/1.1") hand(alpn === "h2");
    else peek(socket, limits.headersTimeoutMs, hand);
  };
  const server = options.tls
    ? createTlsServer(
        {
          ...options.tls,
          ALPNProtocols: ["h2", "http/1.1"],
          handshakeTimeout: limits.headersTimeoutMs,
          ...SOCKETS,
        },
        accept,
      )
    : createTcpServer(SOCKETS, accept);
  server.maxConnections = limits.maxConnections;
  server.on("drop", () => log.warn({ maxConnections: limits.maxConnections }, "a connection too many was closed"));
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", (error, socket) => {
    log.debug({ err: error }, "a TLS handshake failed");
    socket.destroy();
  });
  server.listen(options.port, options.host);
  await once(server, "listening");
  const closed = once(server, "close").then(http1.close);

  return {
    address: addressOf(server.address() as AddressInfo),
    refuse() {
      server.close();
      http1.refuse();
      http2.refuse();
    },
    closed,
    destroy() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Tells which protocol a connection speaks once that is sure, and gives the bytes back to the socket. */
function peek(socket: Socket, timeoutMs: number, tell: (isHttp2: boolean) => unknown): void {
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  let seen: Buffer = Buffer.alloc(0);
  const look = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const alike = seen.compare(PREFACE, 0, length, 0, length) === 0;
    if (alike && length < PREFACE.length) return;
    done();
    socket.unshift(seen);
    tell(alike);
  };
  const done = () => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("end", giveUp);
    socket.off("close", done);
  };
  const giveUp = () => socket.destroy();
  socket.on("readable", look);
  socket.once("end", giveUp);
  socket.once("close", done);
}

function addressOf({ address, family, port }: AddressInfo): string {
  return `${family === "IPv6" ? `[${address}]` : address}:${port}`;
}
