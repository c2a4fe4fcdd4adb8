/** For tests: our server on a socket of its own, by default an echo. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { PREFACE } from "./frame.ts";
import { EMPTY_SETTINGS, SETTINGS_ACK } from "./frame-bytes.fake.ts";
import type { HeaderList } from "./header-list.ts";
import { encodeBlock } from "./hpack-encoder.ts";
import { RawPeer } from "./raw-peer.fake.ts";
import { type ServerConnection, type ServerOptions, serveConnection } from "./server-connection.ts";
import type { Stream, StreamEvents } from "./stream.ts";

export const OK = encodeBlock([":status", "200"]);
export const TRAILERS = encodeBlock(["grpc-status", "0"]);

/** Answers with what it gets, and trailers; consumes as its own answer goes out. */
export const echo: StreamEvents = {
  onData(stream, chunk, endStream) {
    if (stream.write(chunk)) stream.consume(chunk.length);
    else stream.context = ((stream.context as number | undefined) ?? 0) + chunk.length;
    if (endStream) stream.trailers(TRAILERS);
  },
  onTrailers: (stream) => stream.trailers(TRAILERS),
  onReset() {},
  onDrain(stream) {
    stream.consume(stream.context as number);
    stream.context = 0;
  },
};

export function serveEcho(stream: Stream, _headers: HeaderList, endStream: boolean): StreamEvents {
  stream.respond(OK);
  if (endStream) stream.trailers(TRAILERS);
  return echo;
}

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly origin: string;
  readonly connections: Set<ServerConnection>;
  readonly server: Server;
  /** Connects, with preface and settings unless told otherwise. */
  raw(begin?: boolean): Promise<RawPeer>;
}

/** Our server on a socket of its own, by default an echo. */
export async function testServer(options: Partial<ServerOptions> = {}): Promise<TestServer> {
  const connections = new Set<ServerConnection>();
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = serveConnection(socket, {
      onStream: serveEcho,
      ...options,
      onClose(reason) {
        connections.delete(connection);
        options.onClose?.(reason);
      },
    });
    connections.add(connection);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    connections,
    server,
    async raw(begin = true) {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      sockets.add(socket);
      const peer = new RawPeer(socket, false);
      if (begin) peer.send(PREFACE, EMPTY_SETTINGS, SETTINGS_ACK);
      return peer;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      for (const connection of connections) connection.destroy();
      await closed;
    },
  };
}
