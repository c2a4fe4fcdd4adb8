/**
 * The HTTP/1.1 side of a listener: a node:http server that is handed its sockets and never listens. It knows requests only
 * as far as their connection needs: which answers it is kept after, and how it ends.
 */
import { createServer, type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ListenerLimits } from "./listener.ts";
import { answerToParseError, asBytes, type MalformedAnswer, malformedAnswer } from "./malformed-http.ts";

export interface Http1Host {
  accept(socket: Socket): void;
  /** Connections end after the requests they carry. */
  refuse(): void;
  /** When no connection is left. */
  close(): void;
}

/**
 * How long the rest of a request is read and thrown away after its answer: closing at once would make the system reset
 * the connection, and the answer be lost (RFC 9112, section 9.6).
 */
const LINGER_MS = 2_000;
/** Between the first two questions; over most distances a reply has come back by then. Doubles with each. */
const FIRST_PAUSE_MS = 250;
/** The largest announced body that is read in passing, so that its connection can be kept. */
const MAX_PASSED_BYTES = 64 * 1024;

/** Who sends `Expect: 100-continue` is answered with `writeContinue()` by `onRequest`, or not at all. */
export function openHttp1(
  limits: ListenerLimits,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Http1Host {
  /** The last answer of each connection that has one under way. */
  const answering = new Map<Socket, ServerResponse>();
  let refusing = false;

  const take = (request: IncomingMessage, response: ServerResponse) => {
    // What comes behind an answer that closes its connection could not be answered.
    const { socket } = request;
    if (socket.writableEnded) return;
    const unusable = problemOf(request);
    if (unusable) return void response.writeHead(unusable.status, unusable.headers).end(unusable.body);
    useOriginForm(request);
    if (refusing) response.setHeader("connection", "close");
    answering.set(socket, response);
    response.once("finish", () => passOver(request));
    response.once("close", () => {
      if (answering.get(socket) === response) answering.delete(socket);
    });
    onRequest(request, response);
  };
  const server = createServer({
    ServerResponse: Answer,
    // A stream may last as long as its call.
    requestTimeout: 0,
    headersTimeout: limits.headersTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs / 2),
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    noDelay: true,
    requireHostHeader: false,
  });
  // Node's own half of `allowHalfOpen`, without a type: it does not end its side when the client does.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on("request", take);
  server.on("checkContinue", take);
  server.on("checkExpectation", take);
  server.on("clientError", ({ code }: NodeJS.ErrnoException, duplex) => {
    const socket = duplex as Socket;
    if (socket.writableEnded) return;
    // Into an answer that has begun nothing can be said.
    if (!socket.writable || answering.get(socket)?.headersSent) return void socket.destroy();
    socket.write(asBytes(answerToParseError(code)));
    linger(socket);
  });
  // The server is fed by hand and never listens, and only "listening" starts the clock of its timeouts.
  server.emit("listening");

  return {
    accept(socket) {
      // Called by Node behind the last answer of a connection.
      socket.destroySoon = () => linger(socket);
      socket.once("end", () => {
        const response = answering.get(socket);
        if (response) askWhetherThere(socket, response);
      });
      server.emit("connection", socket);
    },
    refuse() {
      refusing = true;
      server.closeIdleConnections();
      for (const [socket, response] of answering) {
        if (!response.headersSent) response.setHeader("connection", "close");
        else response.once("finish", () => socket.end());
      }
    },
    close: () => void server.close(),
  };
}

function problemOf({ headers, httpVersionMajor, httpVersionMinor }: IncomingMessage): MalformedAnswer | undefined {
  if (httpVersionMajor !== 1) {
    // Node's parser takes "GET /" alone for HTTP/0.9 and "HTTP/2.0" for a version of this syntax (RFC 9110, 15.6.6).
    return malformedAnswer(
      505,
      "UNSUPPORTED_PROTOCOL",
      "this is spoken over HTTP/1.1, or over HTTP/2 with its preface",
    );
  }
  if (httpVersionMinor === 0) return undefined;
  if (headers.host === undefined) {
    return malformedAnswer(400, "MALFORMED_REQUEST", "a request says in Host whom it is for");
  }
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== "100-continue") {
    return malformedAnswer(417, "UNSUPPORTED_PROTOCOL", "100-continue is all that can be expected here");
  }
  return undefined;
}

/** A target may be a whole address, and its host then counts (RFC 9112, section 3.2.2). */
function useOriginForm(request: IncomingMessage): void {
  const address = /^https?:\/\/([^/?#]+)([^#]*)/i.exec(request.url ?? "");
  if (address === null) return;
  const [, host = "", rest = ""] = address;
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
  request.headers.host = host;
}

/** An answer that is given before its request is read closes the connection, unless the rest is known to be small. */
class Answer extends ServerResponse {
  override writeHead(...head: unknown[]): this {
    if (!isSoonRead(this.req)) this.setHeader("connection", "close");
    return Reflect.apply(super.writeHead, this, head);
  }
}

function isSoonRead({ complete, headers }: IncomingMessage): boolean {
  if (complete) return true;
  return headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) <= MAX_PASSED_BYTES;
}

/**
 * A client that ended its side may wait for its answer, or be gone, and then nobody should work for it: an interim answer
 * tells (RFC 9110, section 15.2), since the system of a peer that is gone replies with a reset, which the next write finds.
 * An answer that has begun cannot be asked with; its client counts as gone.
 */
function askWhetherThere(socket: Socket, response: ServerResponse): void {
  if (response.writableEnded) return;
  if (response.headersSent) return void socket.destroy();
  // HTTP/1.0 has no interim answers.
  if (response.req.httpVersionMinor === 0) return;
  let pauseMs = FIRST_PAUSE_MS;
  let timer: NodeJS.Timeout;
  const ask = () => {
    if (response.headersSent || !socket.writable) return;
    response.writeProcessing();
    timer = setTimeout(ask, pauseMs);
    pauseMs *= 2;
  };
  ask();
  response.once("close", () => clearTimeout(timer));
}

/** Reads what is left of a request whose answer is out. */
function passOver(request: IncomingMessage): void {
  if (request.complete) return;
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
  request.once("close", () => clearTimeout(timer));
  request.removeAllListeners("data").removeAllListeners("readable").resume();
}

function linger(socket: Socket): void {
  socket.end();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}
