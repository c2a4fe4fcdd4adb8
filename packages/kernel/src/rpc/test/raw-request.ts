/** Requests that no client library would send: bytes over HTTP/1.1 or HTTP/2, and what comes back. */
import { once } from "node:events";
import { request as request1 } from "node:http";
import { connect } from "node:http2";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** HTTP/2 trailers; empty where there were none. */
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Headers | Record<string, string>;
  /** Chunks; the request ends after the last one unless `open`. */
  readonly body?: readonly Uint8Array[];
  readonly open?: boolean;
}

export async function rawHttp1(
  url: string,
  { method = "POST", path, headers, body, open }: RawRequest,
): Promise<RawAnswer> {
  const request = request1(new URL(path, url), { method, headers: plain(headers), agent: false });
  request.on("error", () => undefined);
  for (const chunk of body ?? []) request.write(chunk);
  if (!open) request.end();
  const [response] = await once(request, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  request.destroy();
  return {
    status: response.statusCode,
    headers: response.headers,
    trailers: response.trailers,
    body: Buffer.concat(chunks),
  };
}

export async function rawHttp2(
  url: string,
  { method = "POST", path, headers, body, open }: RawRequest,
): Promise<RawAnswer> {
  const session = connect(url);
  try {
    const stream = session.request({ ":method": method, ":path": path, ...plain(headers) });
    for (const chunk of body ?? []) stream.write(chunk);
    if (!open) stream.end();
    let trailers = {};
    stream.on("trailers", (block) => {
      trailers = block;
    });
    const [response] = await once(stream, "response");
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return { status: response[":status"], headers: response, trailers, body: Buffer.concat(chunks) };
  } finally {
    session.destroy();
  }
}

function plain(headers: RawRequest["headers"]): Record<string, string> {
  return headers instanceof Headers ? Object.fromEntries(headers) : { ...headers };
}

/** A message as gRPC and Connect's streams frame it. */
export function envelope(data: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(data.byteLength, 1);
  return Buffer.concat([head, data]);
}
