/**
 * HTTP/2 as connect's protocols see it: one request over a session of the pool. Everything that goes wrong below the call
 * leaves as a ConnectError with a PeerFault as its cause. It knows nothing of gRPC.
 */
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientFn, UniversalClientRequest } from "@connectrpc/connect/protocol";
import { AppError } from "@switchboard/contract/app-error";
import { fromAppError } from "./errors.ts";
import { PeerFault, peerError } from "./peer-fault.ts";
import type { Session } from "./session.ts";
import type { SessionPool } from "./session-pool.ts";

/** A session may end between its choice and its use, but not again and again. */
const MAX_SESSION_TRIES = 3;

export function http2Client(pool: SessionPool, origin: string): UniversalClientFn {
  return async (request) => {
    const { signal, body } = request;
    const [session, stream] = await abortable(openStream(pool, request, origin), signal, ([, late]) =>
      late.close(constants.NGHTTP2_CANCEL),
    );
    let bodyFailure: unknown;
    /** Why the stream is over: because of the caller, or because of the peer. */
    const ending = (): ConnectError => {
      if (bodyFailure !== undefined) return ConnectError.from(bodyFailure);
      if (signal?.aborted) return ConnectError.from(signal.reason, Code.Canceled);
      return peerError(session.faultOf(stream));
    };
    signal?.addEventListener("abort", () => stream.close(constants.NGHTTP2_CANCEL), { once: true });
    if (body) {
      send(body, stream).catch((reason) => {
        bodyFailure = reason;
        stream.close(constants.NGHTTP2_CANCEL);
      });
    }
    const trailer = new Headers();
    stream.once("trailers", (headers) => appendHeaders(trailer, headers));
    const headers = await responseOf(stream, ending);
    return {
      status: Number(headers[":status"] ?? 0),
      header: appendHeaders(new Headers(), headers),
      body: receive(stream, () => signal?.aborted === true, ending),
      trailer,
    };
  };
}

async function openStream(
  pool: SessionPool,
  { method, url, header, body }: UniversalClientRequest,
  origin: string,
): Promise<[Session, ClientHttp2Stream]> {
  const headers = { ...Object.fromEntries(header), ":method": method, ":path": url.slice(origin.length) };
  for (let tries = 1; ; tries += 1) {
    const session = await pool.acquire().catch((reason) => {
      throw reason instanceof PeerFault ? peerError(reason) : reason;
    });
    try {
      return [session, session.request(headers, body === undefined)];
    } catch (reason) {
      if (reason instanceof TypeError) {
        throw fromAppError(
          new AppError("MALFORMED_REQUEST", `a header of this call cannot be sent: ${reason.message}`),
        );
      }
      if (session.usable() || tries === MAX_SESSION_TRIES) {
        throw peerError(new PeerFault("broken", false, `no stream could be opened to ${origin}`, reason));
      }
    }
  }
}

async function send(body: AsyncIterable<Uint8Array>, stream: ClientHttp2Stream): Promise<void> {
  for await (const chunk of body) {
    // A peer may answer, and close, before it has read everything.
    if (stream.closed || stream.destroyed) return;
    if (!stream.write(chunk)) await drained(stream);
  }
  stream.end();
}

function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.on("drain", done).on("close", done);
  });
}

function responseOf(stream: ClientHttp2Stream, ending: () => ConnectError): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(ending());
    stream.once("close", closed);
    stream.once("response", (headers) => {
      stream.off("close", closed);
      resolve(headers);
    });
  });
}

async function* receive(
  stream: ClientHttp2Stream,
  aborted: () => boolean,
  ending: () => ConnectError,
): AsyncGenerator<Uint8Array> {
  let read = false;
  try {
    for await (const chunk of stream) yield chunk;
    read = true;
  } catch {
    throw ending();
  } finally {
    if (!read) stream.close(constants.NGHTTP2_CANCEL);
  }
  // Node ends a stream that was reset with CANCEL, or lost its connection, as if it had been complete.
  if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || aborted()) throw ending();
}

/** Gives up waiting when the signal aborts; what comes all the same is handed to `discard`. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined, discard: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(ConnectError.from(signal?.reason, Code.Canceled));
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    promise.then(
      (value) => {
        signal?.removeEventListener("abort", abort);
        if (signal?.aborted) discard(value);
        else resolve(value);
      },
      (reason) => {
        signal?.removeEventListener("abort", abort);
        reject(reason);
      },
    );
  });
}

function appendHeaders(target: Headers, headers: IncomingHttpHeaders): Headers {
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) target.append(name, one);
  }
  return target;
}
