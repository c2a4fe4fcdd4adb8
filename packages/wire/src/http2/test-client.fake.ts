/** For tests: our client against a server that does as it is told, and whole calls. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type ClientConnection, type ClientOptions, openConnection } from "./client-connection.ts";
import type { CloseReason } from "./connection.ts";
import { EMPTY_SETTINGS, SETTINGS_ACK } from "./frame-bytes.fake.ts";
import type { Fields } from "./hpack-encoder.ts";
import { RawPeer } from "./raw-peer.fake.ts";
import type { ResetCause } from "./stream.ts";

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
