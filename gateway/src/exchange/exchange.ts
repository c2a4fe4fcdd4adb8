/**
 * One request and its answer as bytes, over HTTP/1.1 or HTTP/2: what the gateway needs of node:http and node:http2, and
 * the seam for framing of our own. It knows no protocol above HTTP.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

export interface Exchange {
  readonly httpVersion: "1.1" | "2";
  /** GET for HEAD too: HTTP itself leaves the body of the answer out. */
  readonly method: string;
  /** As it came, query included. */
  readonly target: string;
  /** Names in lower case, without pseudo-headers. */
  readonly headers: IncomingHttpHeaders;
  /** The host that was asked for; empty: none. */
  readonly host: string;
  /** The address at the other end of the connection. */
  readonly peerAddress: string;
  readonly secure: boolean;
  /** False: the request ended with its headers. */
  readonly hasBody: boolean;
  /** The request's bytes; paused until somebody listens. */
  readonly body: Readable;
  /** Tells a sender that waits for it (`Expect: 100-continue`) to send the body. */
  wantBody(): void;
  /** After `end` of the body: whether it is all of it, was cut off, or is not in the form that its headers say. */
  bodyEnd(): "complete" | "cut" | "malformed";
  /** Whether the head of the answer was sent. */
  readonly begun: boolean;
  /** Sends the head of the answer. @throws Error where a header cannot be sent. */
  begin(status: number, headers: OutgoingHttpHeaders, shape: AnswerShape): void;
  /** False: wait for `onDrain` before the next. */
  write(bytes: Uint8Array): boolean;
  onDrain(listener: () => void): void;
  end(trailers?: OutgoingHttpHeaders): void;
  /** Cuts the answer so that nobody can take it for complete. */
  reset(): void;
  /** Calls back once when nothing can be sent any more; `finished`: the whole answer was handed to the system. */
  onClosed(listener: (finished: boolean) => void): void;
}

export interface AnswerShape {
  /** Neither body nor trailers follow. */
  readonly headersOnly?: boolean;
  /** Trailers may follow. */
  readonly trailers?: boolean;
  /** Send the head without waiting for the first byte of the body. */
  readonly flush?: boolean;
}
