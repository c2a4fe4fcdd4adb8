/** A small service for tests of the client side, with every kind of method, and stock servers for it. */

import { createServer as createHttp1Server } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenMessage, type GenService, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Type as FieldType,
  FileDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel as Idempotency,
  FieldDescriptorProto_Label as Label,
} from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Instance } from "../registry/registry.ts";

type Text<Name extends string> = Message<Name> & { text: string; requestId: string };

const string = (name: string, number: number) => ({ name, number, type: FieldType.STRING, label: Label.OPTIONAL });
const fields = [string("text", 1), string("request_id", 2)];
const method = (name: string, options: object = {}) => ({
  name,
  inputType: ".test.echo.v1.Request",
  outputType: ".test.echo.v1.Answer",
  ...options,
});
const repeatable = { options: { idempotencyLevel: Idempotency.NO_SIDE_EFFECTS } };

const file = fileDesc(
  base64Encode(
    toBinary(
      FileDescriptorProtoSchema,
      create(FileDescriptorProtoSchema, {
        name: "test/echo/v1/echo.proto",
        package: "test.echo.v1",
        syntax: "proto3",
        messageType: [
          { name: "Request", field: fields },
          { name: "Answer", field: fields },
        ],
        service: [
          {
            name: "EchoService",
            method: [
              method("Read", repeatable),
              method("Write"),
              method("Watch", { serverStreaming: true, ...repeatable }),
              method("Upload", { clientStreaming: true }),
              method("Chat", { clientStreaming: true, serverStreaming: true }),
            ],
          },
        ],
      }),
    ),
  ),
);
const RequestSchema: GenMessage<Text<"test.echo.v1.Request">> = messageDesc(file, 0);
const AnswerSchema: GenMessage<Text<"test.echo.v1.Answer">> = messageDesc(file, 1);

type Shape<Kind> = { methodKind: Kind; input: typeof RequestSchema; output: typeof AnswerSchema };

export const EchoService: GenService<{
  read: Shape<"unary">;
  write: Shape<"unary">;
  watch: Shape<"server_streaming">;
  upload: Shape<"client_streaming">;
  chat: Shape<"bidi_streaming">;
}> = serviceDesc(file, 0);

export interface EchoServer extends AsyncDisposable {
  readonly instance: Instance;
  /** The calls that reached a handler: "grpc read", "connect write". */
  readonly calls: string[];
  /** Open HTTP/2 sessions. */
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  readonly connections: () => number;
  /** As if the process died: every connection is reset, the port refuses. */
  kill(): Promise<void>;
}

export interface EchoServerOptions {
  readonly id: string;
  /** Default "h2c". */
  readonly http?: "h2c" | "http1" | "both";
  readonly port?: number;
  /** Without gRPC: HTTP/2 works, and gRPC's content type is refused. */
  readonly grpc?: boolean;
  /** Answers everything that comes over HTTP/2, instead of the service. */
  readonly http2Handler?: (request: Http2ServerRequest, response: Http2ServerResponse) => void;
  /** Streams that one session may have at once. */
  readonly maxStreams?: number;
  readonly handlers?: Partial<ServiceImpl<typeof EchoService>>;
}

/** A handler that does not answer until the call is given up. */
export function hang(_: unknown, { signal }: HandlerContext): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

export async function startEcho(options: EchoServerOptions): Promise<EchoServer> {
  const { id, http = "h2c", grpc = true } = options;
  const calls: string[] = [];
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const adapter = connectNodeAdapter({
    grpc,
    interceptors: [
      (next) => async (request) => {
        calls.push(
          `${request.header.get("content-type")?.startsWith("application/grpc") ? "grpc" : "connect"} ${request.method.localName}`,
        );
        return next(request);
      },
    ],
    routes: (router) => void router.service(EchoService, { ...echo(id), ...options.handlers }),
  });
  const http1 = createHttp1Server(adapter);
  const http2 = createHttp2Server(
    options.maxStreams ? { settings: { maxConcurrentStreams: options.maxStreams } } : {},
    options.http2Handler ?? adapter,
  ).on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
    session.on("close", () => sessions.delete(session));
  });
  const server: Server = http === "http1" ? http1 : http === "h2c" ? http2 : eitherOf(http1, http2);
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const kill = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    instance: instanceAt((server.address() as AddressInfo).port, id),
    calls,
    sessions,
    connections: () => sockets.size,
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

/** One port for both: HTTP/2's preface begins with "PRI". */
function eitherOf(http1: Server, http2: Server): Server {
  return createServer((socket) => {
    socket.once("readable", () => {
      const first: Buffer = socket.read() ?? Buffer.alloc(0);
      socket.unshift(first);
      (first.toString("latin1", 0, 3) === "PRI" ? http2 : http1).emit("connection", socket);
    });
  });
}

export function instanceAt(port: number, instanceId: string): Instance {
  return {
    service: "echo",
    instanceId,
    address: `127.0.0.1:${port}`,
    version: "1",
    contractHash: "",
    rpcServices: [EchoService.typeName],
    metadata: {},
    registerTime: 0,
  };
}

/** Answers with the instance's id and the text. */
function echo(id: string): ServiceImpl<typeof EchoService> {
  return {
    read: ({ text }) => ({ text: `${id}:${text}` }),
    write: ({ text }) => ({ text: `${id}:${text}` }),
    async *watch({ text }) {
      for (let i = 1; i <= 3; i += 1) yield { text: `${id}:${text}${i}` };
    },
    async upload(requests) {
      const texts = await Array.fromAsync(requests, ({ text }) => text);
      return { text: `${id}:${texts.join("+")}` };
    },
    async *chat(requests) {
      for await (const { text } of requests) yield { text: `${id}:${text}` };
    },
  };
}
