/**
 * Which protocol a request speaks, told by its method, query and content type alone. It does not know which methods
 * exist, and does not look at a body.
 *
 * Sources: https://connectrpc.com/docs/protocol, gRPC's PROTOCOL-HTTP2.md and PROTOCOL-WEB.md.
 */

export type ProtocolName = "connect" | "connect-get" | "connect-stream" | "grpc" | "grpc-web" | "unknown";

export interface Protocol {
  readonly name: ProtocolName;
  /** "proto" or "json"; another name for a codec that a service may know; empty for `unknown`. */
  readonly codec: string;
  /** The content type of answers in this protocol, in its binary form. */
  readonly contentType: string;
  /** Whether the bodies are in base64: gRPC-Web's text form. */
  readonly text: boolean;
  /** Whether bodies are a row of messages, each behind a prefix of five bytes. */
  readonly enveloped: boolean;
  /** The bit of an envelope's flags that marks the end of an answer; 0: the protocol has none. */
  readonly endFlag: number;
}

/** Not a call: errors take the form of Connect's, which a person can read. */
export const UNKNOWN_PROTOCOL: Protocol = protocol("unknown", "", "application/json");

const grpc = /^application\/grpc(-web)?(-text)?(?:\+([a-z0-9.]+))?$/;
const connect = /^application\/(connect\+)?(json|proto)$/;

/** Content types repeat: each is parsed once. Bounded, since callers write them. */
const known = new Map<string, Protocol>();
const MAX_KNOWN = 100;

/**
 * The protocol of a request.
 * @param query what follows the `?` of the path; empty: nothing.
 */
export function detectProtocol(method: string, contentType: string | undefined, query: string): Protocol {
  if (method === "GET") return detectGet(query);
  if (method !== "POST" || contentType === undefined) return UNKNOWN_PROTOCOL;
  let found = known.get(contentType);
  if (found === undefined) {
    found = parseContentType(contentType);
    if (known.size < MAX_KNOWN) known.set(contentType, found);
  }
  return found;
}

/** An unary Connect call by GET has a message and an encoding in its query; the version is optional. */
function detectGet(query: string): Protocol {
  const parameters = new URLSearchParams(query);
  const version = parameters.get("connect");
  const codec = parameters.get("encoding");
  if (codec === null || !parameters.has("message") || (version !== null && version !== "v1")) return UNKNOWN_PROTOCOL;
  return protocol("connect-get", codec, `application/${codec}`);
}

function parseContentType(contentType: string): Protocol {
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  const mediaType = type.trim();
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith("charset="));
  if (charset !== undefined && !/^charset="?utf-?8"?$/.test(charset)) return UNKNOWN_PROTOCOL;
  const viaConnect = connect.exec(mediaType);
  if (viaConnect) {
    const [, stream, codec = ""] = viaConnect;
    return protocol(stream === undefined ? "connect" : "connect-stream", codec, mediaType);
  }
  const viaGrpc = grpc.exec(mediaType);
  if (!viaGrpc || (viaGrpc[2] && !viaGrpc[1])) return UNKNOWN_PROTOCOL;
  const [, web, text, codec = "proto"] = viaGrpc;
  return protocol(web ? "grpc-web" : "grpc", codec, mediaType.replace("-text", ""), text !== undefined);
}

function protocol(name: ProtocolName, codec: string, contentType: string, text = false): Protocol {
  const endFlag = name === "connect-stream" ? 0x02 : name === "grpc-web" ? 0x80 : 0;
  return Object.freeze({ name, codec, contentType, text, enveloped: name === "grpc" || endFlag !== 0, endFlag });
}
