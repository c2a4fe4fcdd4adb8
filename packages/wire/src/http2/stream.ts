/**
 * One request and its answer, for whoever serves it or asked it: a small object with callbacks, not a stream of Node's.
 * What it says goes to its connection; of frames it knows nothing.
 */
import { ErrorCode } from "./error-code.ts";
import type { HeaderList } from "./header-list.ts";
import type { ReceiveWindow } from "./receive-window.ts";

/**
 * - `peer`: RST_STREAM came. - `refused`: provably not processed, by RST_STREAM or GOAWAY; safe to repeat. - `fault`: the peer broke
 * the rules on this stream. - `stalled`: what was to be sent waited too long. - `connection`: the whole connection ended.
 */
export type ResetCause = "peer" | "refused" | "fault" | "stalled" | "connection";

/** One object may serve many streams. After `onReset` or `onClose` nothing comes any more. */
export interface StreamEvents {
  /** Clients: the answer's head. */
  onHeaders?(stream: Stream, headers: HeaderList, endStream: boolean): void;
  /** Clients: an answer with a status of 1xx, before the head. */
  onInformational?(stream: Stream, headers: HeaderList): void;
  /** A piece of the body, a view of what was read: copy what stays for long. The peer may send more as it is consumed. */
  onData(stream: Stream, chunk: Buffer, endStream: boolean): void;
  /** The peer's last word, instead of an `endStream`. */
  onTrailers(stream: Stream, trailers: HeaderList): void;
  /** It ended before both sides were through; not called for one's own `reset`. */
  onReset(stream: Stream, code: number, cause: ResetCause): void;
  /** All that `write` took is on its way: it may be called again. */
  onDrain(stream: Stream): void;
  /** Both sides are through. */
  onClose?(stream: Stream): void;
}

/** What a stream asks of its connection. */
export interface StreamLink {
  sendHeaders(stream: Stream, block: Uint8Array, endStream: boolean): void;
  sendData(stream: Stream, chunk: Uint8Array, endStream: boolean): boolean;
  resetStream(stream: Stream, code: number): void;
  consumed(stream: Stream, bytes: number): void;
}

/** What waits to be sent: a header block, or a part of a body from `at` on. */
export interface Waiting {
  readonly bytes: Uint8Array;
  readonly isHeaders: boolean;
  readonly endStream: boolean;
  at: number;
}

const NOTHING = new Uint8Array(0);

export class Stream {
  readonly id: number;
  events: StreamEvents;
  /** For its user; never read here. */
  context: unknown = undefined;

  // Below: its connection's bookkeeping.
  /** How much the peer takes. It may be negative, after its settings changed (RFC 9113, section 6.9.2). */
  sendWindow: number;
  receiveWindow: ReceiveWindow | undefined = undefined;
  waiting: Waiting[] | undefined = undefined;
  /** When what waits began to, or last made progress; ms of the connection's clock. */
  waitingSince = 0;
  /** What went out since then; too little is no progress. */
  sentSince = 0;
  localEnded = false;
  remoteEnded = false;
  closed = false;
  /** Clients: the head of the answer came, not only informational ones. */
  headReceived = false;
  /** What the peer's content-length leaves to come; -1: it did not say. */
  expectedBytes = -1;
  /** Clients: the request's method has answers without a body, whatever their content-length says. */
  readonly bodiless: boolean;
  readonly #link: StreamLink;

  constructor(id: number, sendWindow: number, events: StreamEvents, link: StreamLink, bodiless: boolean) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.events = events;
    this.#link = link;
    this.bodiless = bodiless;
  }

  /** Servers: the head of the answer, or an informational one before it; a block of `encodeBlock`. */
  respond(block: Uint8Array, endStream = false): void {
    if (this.#mayEnd(endStream)) this.#link.sendHeaders(this, block, endStream);
  }

  /**
   * A piece of the body, which nobody may change any more.
   * @returns false where it waits for the peer: go on after `onDrain`. (What comes before that is kept, and takes memory.)
   */
  write(chunk: Uint8Array, endStream = false): boolean {
    return this.#mayEnd(endStream) && this.#link.sendData(this, chunk, endStream);
  }

  /** Ends this side with a block of `encodeBlock`. */
  trailers(block: Uint8Array): void {
    if (this.#mayEnd(true)) this.#link.sendHeaders(this, block, true);
  }

  /** Ends this side without a further word. */
  end(): void {
    this.write(NOTHING, true);
  }

  /** Ends both sides at once; nothing is called after that, and what waits is dropped. */
  reset(code: number = ErrorCode.CANCEL): void {
    if (!this.closed) this.#link.resetStream(this, code);
  }

  /** So many bytes of the body need no memory any more. What is left when the stream ends counts as consumed. */
  consume(bytes: number): void {
    if (!this.closed && this.receiveWindow !== undefined) this.#link.consumed(this, bytes);
  }

  /** @returns false where the stream is over; that may always happen meanwhile, so it is no error. */
  #mayEnd(endStream: boolean): boolean {
    if (this.closed) return false;
    if (this.localEnded) throw new Error(`stream ${this.id}: this side has ended`);
    this.localEnded = endStream;
    return true;
  }
}
