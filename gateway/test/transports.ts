/** For the tests beside it: clients of every protocol, codec and HTTP version, gRPC-Web's text form among them. */
import type { Interceptor, Transport } from "@connectrpc/connect";
import type { UniversalClientFn, UniversalClientRequest, UniversalClientResponse } from "@connectrpc/connect/protocol";
import { createTransport as createGrpcWebTransportOver } from "@connectrpc/connect/protocol-grpc-web";
import {
  compressionBrotli,
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  createNodeHttpClient,
  Http2SessionManager,
} from "@connectrpc/connect-node";

/** "connect-get": methods without side effects by GET. Without "-h2", Connect and gRPC-Web are spoken over HTTP/1.1. */
export type Protocol =
  | "connect"
  | "connect-json"
  | "connect-get"
  | "connect-get-json"
  | "connect-h2"
  | "connect-h2-json"
  | "grpc"
  | "grpc-json"
  | "grpc-web"
  | "grpc-web-json"
  | "grpc-web-h2"
  | "grpc-web-text";

/** One of each kind that the gateway treats differently. */
export const PROTOCOLS: readonly Protocol[] = [
  "connect",
  "connect-json",
  "connect-h2",
  "grpc",
  "grpc-json",
  "grpc-web",
  "grpc-web-h2",
  "grpc-web-text",
];

export const ALL_PROTOCOLS: readonly Protocol[] = [
  ...PROTOCOLS,
  "connect-get",
  "connect-get-json",
  "connect-h2-json",
  "grpc-web-json",
];

export function isOverHttp1(protocol: Protocol): boolean {
  return !protocol.includes("h2") && (protocol.startsWith("connect") || protocol.startsWith("grpc-web"));
}

export function openTransport(
  url: string,
  protocol: Protocol,
  headers: Record<string, string>,
  stack: AsyncDisposableStack,
  compressed = false,
): Transport {
  const withHeaders: Interceptor = (next) => (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
  const common = {
    ...(compressed && { sendCompression: compressionGzip, compressMinBytes: 0 }),
    baseUrl: url,
    useBinaryFormat: !protocol.endsWith("json"),
    useHttpGet: protocol.startsWith("connect-get"),
    interceptors: [withHeaders],
  };
  if (protocol === "grpc-web-text") {
    return createGrpcWebTransportOver({
      acceptCompression: [compressionGzip, compressionBrotli],
      sendCompression: null,
      compressMinBytes: 0,
      readMaxBytes: 0xffffffff,
      writeMaxBytes: 0xffffffff,
      ...common,
      httpClient: inText(createNodeHttpClient({ httpVersion: "1.1" })),
    });
  }
  if (isOverHttp1(protocol)) {
    const create = protocol.startsWith("connect") ? createConnectTransport : createGrpcWebTransport;
    return create({ ...common, httpVersion: "1.1" });
  }
  const sessionManager = new Http2SessionManager(url);
  stack.defer(() => sessionManager.abort());
  if (protocol.startsWith("connect")) return createConnectTransport({ ...common, httpVersion: "2", sessionManager });
  if (protocol.startsWith("grpc-web")) return createGrpcWebTransport({ ...common, httpVersion: "2", sessionManager });
  return createGrpcTransport({ ...common, sessionManager });
}

/** gRPC-Web as browsers without streams of bytes send it: each piece of a body in base64, with its own padding. */
function inText(client: UniversalClientFn): UniversalClientFn {
  return async (request: UniversalClientRequest): Promise<UniversalClientResponse> => {
    const header = new Headers(request.header);
    header.set("content-type", String(header.get("content-type")).replace("grpc-web", "grpc-web-text"));
    const response = await client({ ...request, header, ...(request.body && { body: encoded(request.body) }) });
    const answered = new Headers(response.header);
    const type = String(answered.get("content-type"));
    if (!type.startsWith("application/grpc-web-text")) return response;
    answered.set("content-type", type.replace("-text", ""));
    return { ...response, header: answered, body: decoded(response.body) };
  };
}

async function* encoded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) yield Buffer.from(Buffer.from(chunk).toString("base64"));
}

async function* decoded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let text = "";
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString("latin1");
    const whole = text.slice(0, text.length - (text.length % 4));
    text = text.slice(whole.length);
    for (const run of whole.split(/(?<==)(?!=)/)) yield Buffer.from(run, "base64");
  }
}
