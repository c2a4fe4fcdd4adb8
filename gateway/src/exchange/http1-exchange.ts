/** An exchange over node:http. */
import { IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Request, Response } from "@switchboard/kernel/rpc/listener";
import type { AnswerShape, Exchange } from "./exchange.ts";
import { methodOf, waitsForContinue } from "./request-headers.ts";

export function http1Exchange(request: Request, response: Response): Exchange {
  if (!(request instanceof IncomingMessage)) throw new Error("HTTP/2 requests come as streams");
  return new Http1Exchange(request, response as ServerResponse);
}

class Http1Exchange implements Exchange {
  readonly httpVersion = "1.1";
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingMessage["headers"];
  readonly host: string;
  readonly peerAddress: string;
  readonly secure: boolean;
  readonly hasBody: boolean;
  readonly body: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.method = methodOf(request.method);
    this.target = request.url ?? "/";
    this.headers = request.headers;
    this.host = request.headers.host ?? "";
    this.peerAddress = request.socket.remoteAddress ?? "";
    this.secure = (request.socket as Partial<TLSSocket>).encrypted === true;
    const length = request.headers["content-length"];
    this.hasBody = request.headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
    this.body = request;
    this.#response = response;
    request.on("error", () => {});
    response.on("error", () => {});
  }

  get begun(): boolean {
    return this.#response.headersSent;
  }

  wantBody(): void {
    const { headers, httpVersionMinor } = this.body;
    if (httpVersionMinor === 1 && waitsForContinue(headers)) this.#response.writeContinue();
  }

  bodyEnd(): "complete" | "cut" {
    return this.body.complete ? "complete" : "cut";
  }

  begin(status: number, headers: OutgoingHttpHeaders, shape: AnswerShape): void {
    const response = this.#response;
    if (shape.trailers) response.setHeader("trailer", "grpc-status, grpc-message, grpc-status-details-bin");
    response.writeHead(status, headers);
    if (shape.headersOnly) response.end();
    else if (shape.flush) response.flushHeaders();
  }

  write(bytes: Uint8Array): boolean {
    return this.#response.write(bytes);
  }

  onDrain(listener: () => void): void {
    this.#response.once("drain", listener);
  }

  end(trailers?: OutgoingHttpHeaders): void {
    if (trailers) {
      const pairs = Object.entries(trailers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)] as [string, string]],
      );
      this.#response.addTrailers(pairs);
    }
    this.#response.end();
  }

  reset(): void {
    this.body.socket.destroy();
  }

  onClosed(listener: (finished: boolean) => void): void {
    this.#response.once("close", () => listener(this.#response.writableFinished));
  }
}
