/** An exchange over a core stream of node:http2. */
import type { OutgoingHttpHeaders } from "node:http";
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import { stopRequest } from "@switchboard/kernel/rpc/stop-request";
import type { AnswerShape, Exchange } from "./exchange.ts";
import { methodOf, requestHeaders, waitsForContinue } from "./request-headers.ts";

export class Http2Exchange implements Exchange {
  readonly httpVersion = "2";
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly host: string;
  readonly peerAddress: string;
  readonly secure: boolean;
  readonly hasBody: boolean;
  readonly body: ServerHttp2Stream;
  #trailers: OutgoingHttpHeaders | undefined;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    stream.on("error", () => {});
    const socket = stream.session?.socket;
    this.method = methodOf(headers[":method"]);
    this.target = headers[":path"] ?? "/";
    this.headers = requestHeaders(headers);
    this.host = headers[":authority"] ?? headers.host ?? "";
    this.peerAddress = socket?.remoteAddress ?? "";
    this.secure = (socket as Partial<TLSSocket> | undefined)?.encrypted === true;
    this.hasBody = !stream.endAfterHeaders;
    this.body = stream;
  }

  get begun(): boolean {
    return this.body.headersSent;
  }

  wantBody(): void {
    const stream = this.body;
    if (waitsForContinue(this.headers) && !stream.destroyed) stream.additionalHeaders({ ":status": 100 });
  }

  bodyEnd(): "complete" | "cut" {
    return this.body.rstCode === constants.NGHTTP2_NO_ERROR && !this.body.aborted ? "complete" : "cut";
  }

  begin(status: number, headers: OutgoingHttpHeaders, shape: AnswerShape): void {
    const stream = this.body;
    if (stream.closed || stream.destroyed) return;
    const waitForTrailers = shape.trailers === true && shape.headersOnly !== true;
    if (waitForTrailers) stream.once("wantTrailers", () => stream.sendTrailers(this.#trailers ?? {}));
    stream.respond({ ...headers, ":status": status }, { endStream: shape.headersOnly === true, waitForTrailers });
    if (shape.headersOnly) this.#stopRequest();
  }

  write(bytes: Uint8Array): boolean {
    const stream = this.body;
    return stream.closed || stream.destroyed || stream.writableEnded || stream.write(bytes);
  }

  onDrain(listener: () => void): void {
    this.body.once("drain", listener);
  }

  end(trailers?: OutgoingHttpHeaders): void {
    this.#trailers = trailers;
    this.body.end();
    this.#stopRequest();
  }

  reset(): void {
    // Not close(): Node would first end the stream in good order, and only then reset it.
    this.body.destroy(new Error("the answer was cut"));
  }

  onClosed(listener: (finished: boolean) => void): void {
    const { body } = this;
    body.once("close", () => listener(body.writableFinished && body.rstCode === constants.NGHTTP2_NO_ERROR));
  }

  #stopRequest(): void {
    const { body } = this;
    if (body.writableFinished) stopRequest(body);
    else body.once("finish", () => stopRequest(body));
  }
}
