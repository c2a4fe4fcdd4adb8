/** gRPC-Web's text form on the outside, its binary form on the inside: services speak only the latter. */
import type { OutgoingHttpHeaders } from "node:http";
import { Transform } from "node:stream";
import { Base64Decoder } from "@switchboard/wire/base64-stream";
import type { AnswerShape, Exchange } from "./exchange.ts";

/** @param contentType of the binary form: "application/grpc-web+proto". */
export function webTextExchange(outside: Exchange, contentType: string): Exchange {
  const decoder = new Base64Decoder();
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const bytes = decoder.push(chunk);
      if (decoder.malformed) {
        outside.body.unpipe(body).resume();
        body.push(null);
      }
      done(null, bytes.length > 0 ? bytes : undefined);
    },
  });
  outside.body.pipe(body);
  outside.onClosed(() => body.destroy());
  const encoded = (bytes: Uint8Array) =>
    Buffer.from(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64"), "latin1");
  return {
    httpVersion: outside.httpVersion,
    method: outside.method,
    target: outside.target,
    headers: { ...outside.headers, "content-type": contentType, accept: contentType },
    host: outside.host,
    peerAddress: outside.peerAddress,
    secure: outside.secure,
    hasBody: outside.hasBody,
    body,
    get begun() {
      return outside.begun;
    },
    wantBody: () => outside.wantBody(),
    bodyEnd() {
      if (decoder.malformed) return "malformed";
      const end = outside.bodyEnd();
      return end === "complete" && !decoder.complete() ? "malformed" : end;
    },
    begin(status: number, headers: OutgoingHttpHeaders, shape: AnswerShape) {
      const { "content-length": _binaryLength, ...others } = headers;
      const type = String(headers["content-type"] ?? contentType).replace(/^application\/grpc-web(?!-text)/, "$&-text");
      outside.begin(status, { ...others, "content-type": type }, shape);
    },
    write: (bytes) => outside.write(encoded(bytes)),
    onDrain: (listener) => outside.onDrain(listener),
    end: (trailers) => outside.end(trailers),
    reset: () => outside.reset(),
    onClosed: (listener) => outside.onClosed(listener),
  };
}
