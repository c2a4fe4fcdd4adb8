/** For tests: the other end of a connection that sends whatever bytes it is told to, and tells which frames came back. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type ClientConnection, type ClientOptions, openConnection } from "./client-connection.ts";
import type { CloseReason } from "./connection.ts";
import { Flag, FrameType, PREFACE } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import type { HeaderList } from "./header-list.ts";
import { encodeBlock, type Fields } from "./hpack-encoder.ts";
import { type ServerConnection, type ServerOptions, serveConnection } from "./server-connection.ts";
import type { ResetCause, Stream, StreamEvents } from "./stream.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export const EMPTY_SETTINGS = frame(FrameType.SETTINGS, 0, 0);
export const SETTINGS_ACK = frame(FrameType.SETTINGS, Flag.ACK, 0);
export const GET: Fields = [":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"];
export const POST: Fields = [":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/"];

export function frame(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(id, 5);
  return Buffer.concat([header, payload]);
}

export function headers(id: number, fields: Fields, endStream: boolean): Buffer {
  return frame(FrameType.HEADERS, Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0), id, encodeBlock(fields));
}

export function data(id: number, bytes: number, endStream = false): Buffer {
  return frame(FrameType.DATA, endStream ? Flag.END_STREAM : 0, id, Buffer.alloc(bytes));
}

/** RST_STREAM, WINDOW_UPDATE, and one setting: their payloads are numbers. */
export function number(type: number, id: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return frame(type, 0, id, payload);
}

export function setting(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id);
  payload.writeUInt32BE(value, 2);
  return frame(FrameType.SETTINGS, 0, 0, payload);
}

export class RawPeer {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<void>;
  #over = false;
  #wake: (() => void)[] = [];

  constructor(socket: Socket, hasPreface: boolean) {
    this.socket = socket;
    let skip = hasPreface ? PREFACE.length : 0;
    const reader = new FrameReader(16_777_215, (type, flags, id, bytes, start, end) => {
      this.frames.push({ type, flags, id, payload: Buffer.from(bytes.subarray(start, end)) });
      return true;
    });
    socket.on("data", (chunk: Buffer) => {
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      if (chunk.length > skipped) reader.push(chunk.subarray(skipped));
      this.#notify();
    });
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#over = true;
        this.#notify();
        resolve();
      });
    });
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The first frame that fits, now or later. @throws where the connection ends without it. */
  async frame(type: number, fits: (frame: Frame) => boolean = () => true): Promise<Frame> {
    for (;;) {
      const found = this.frames.find((frame) => frame.type === type && fits(frame));
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`no frame of type ${type}; there were ${JSON.stringify(this.frames)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async goawayCode(): Promise<number> {
    return (await this.frame(FrameType.GOAWAY)).payload.readUInt32BE(4);
  }

  async resetCode(id: number): Promise<number> {
    return (await this.frame(FrameType.RST_STREAM, (frame) => frame.id === id)).payload.readUInt32BE();
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

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

export interface TestClient extends AsyncDisposable {
  readonly client: ClientConnection;
  readonly peer: RawPeer;
  /** Why the client's connection ended. */
  readonly reason: Promise<CloseReason>;
}

/** Our client, connected to a server that says nothing but its settings, unless told otherwise. */
export async function testClient(options: ClientOptions = {}, begin = true): Promise<TestClient> {
  const { promise: reason, resolve } = Promise.withResolvers<CloseReason>();
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const client = openConnection(socket, {
    ...options,
    onClose(why) {
      options.onClose?.(why);
      resolve(why);
    },
  });
  const [accepted] = (await once(server, "connection")) as [Socket];
  const peer = new RawPeer(accepted, true);
  if (begin) peer.send(EMPTY_SETTINGS, SETTINGS_ACK);
  return {
    client,
    peer,
    reason,
    async [Symbol.asyncDispose]() {
      client.destroy();
      accepted.destroy();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

/** What a call came to. */
export interface Outcome {
  readonly status: string;
  readonly fields: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[] | undefined;
  /** Undefined: it ended as it should. */
  readonly reset: { readonly code: number; readonly cause: ResetCause } | undefined;
}

/** One call with a whole body. @throws where the connection has no room. */
export function call(client: ClientConnection, head: Fields, body?: Uint8Array, rest?: Fields): Promise<Outcome> {
  return new Promise((resolve) => {
    let status = "";
    let fields: readonly string[] = [];
    let trailers: readonly string[] | undefined;
    const chunks: Buffer[] = [];
    const done = (reset?: Outcome["reset"]) =>
      resolve({ status, fields, body: Buffer.concat(chunks), trailers, reset });
    const stream = client.request({
      head,
      rest,
      endStream: body === undefined,
      events: {
        onHeaders(_stream, list) {
          status = list.status;
          fields = list.fields;
        },
        onData(stream, chunk) {
          chunks.push(chunk);
          stream.consume(chunk.length);
        },
        onTrailers(_stream, list) {
          trailers = list.fields;
        },
        onReset: (_stream, code, cause) => done({ code, cause }),
        onDrain() {},
        onClose: () => done(),
      },
    });
    if (stream === undefined) throw new Error("the connection has no room");
    if (body !== undefined) stream.write(body, true);
  });
}
