/**
 * The HTTP/2 side of a listener: a node:http2 server that is handed its sockets and never listens. It bounds what a
 * connection may cost that carries no request; what requests mean is its caller's business.
 */
import {
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import type { ListenerLimits } from "./listener.ts";
import { stopRequest } from "./stop-request.ts";

export interface Http2Host {
  accept(socket: Socket): void;
  /** GOAWAY with the last request taken; what is on its way behind it comes back as REFUSED_STREAM, safe to repeat. */
  refuse(): void;
}

export interface Http2Requests {
  readonly onRequest: (request: Http2ServerRequest, response: Http2ServerResponse) => void;
  /** Gets core streams, instead of `onRequest`. */
  readonly onStream?: ((stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) | undefined;
}

export function openHttp2(limits: ListenerLimits, { onRequest, onStream }: Http2Requests, log: Logger): Http2Host {
  const sessions = new Set<ServerHttp2Session>();
  let refusing = false;
  const server = createServer({
    maxSessionMemory: 64,
    settings: {
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      initialWindowSize: 1024 * 1024,
    },
  });
  if (onStream) server.on("stream", onStream);
  else
    server.on("request", (request, response) => {
      // The stream's own: the response's comes only when the stream is over.
      const { stream } = request;
      stream.once("finish", () => stopRequest(stream));
      onRequest(request, response);
    });
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    if (refusing) session.close();
  });
  server.on("sessionError", (error) => log.debug({ err: error }, "an HTTP/2 connection failed"));

  return {
    accept(socket) {
      // Half of an HTTP/2 connection is none.
      socket.once("end", () => socket.end());
      const watch = (session: ServerHttp2Session) => endWhenIdle(session, socket, limits);
      server.once("session", watch);
      server.emit("connection", socket);
      // A connection over TLS that did not agree on HTTP/2 gets no session.
      server.off("session", watch);
    },
    refuse() {
      refusing = true;
      for (const session of sessions) session.close();
    },
  };
}

/** How long a connection gets to close that was told to. */
const LINGER_MS = 2_000;

/**
 * Ends a connection that carries no request: pings, and headers without an end, keep nothing open. Who only made it in
 * advance gets a GOAWAY and loses nothing.
 */
function endWhenIdle(session: ServerHttp2Session, socket: Socket, limits: ListenerLimits): void {
  let open = 0;
  const end = () => {
    session.close();
    timer = setTimeout(() => socket.destroy(), LINGER_MS);
  };
  let timer = setTimeout(end, limits.headersTimeoutMs);
  session.on("stream", (stream) => {
    open += 1;
    clearTimeout(timer);
    stream.once("close", () => {
      open -= 1;
      if (open === 0 && !socket.destroyed) timer = setTimeout(end, limits.keepAliveTimeoutMs);
    });
  });
  socket.once("close", () => clearTimeout(timer));
}
