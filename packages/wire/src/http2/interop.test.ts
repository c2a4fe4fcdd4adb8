/** Whole calls between our ends and Node's, in every pairing: unary, streams, trailers, large bodies, many streams, endings. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { cert, key } from "./certificate.fake.ts";
import { type ClientConnection, openConnection } from "./client-connection.ts";
import { ErrorCode } from "./error-code.ts";
import type { HeaderList } from "./header-list.ts";
import { encodeBlock, type Fields } from "./hpack-encoder.ts";
import { serveConnection } from "./server-connection.ts";
import type { Stream, StreamEvents } from "./stream.ts";
import { call, type Outcome } from "./test-client.fake.ts";
import { echo, serveEcho, TRAILERS, testServer } from "./test-server.fake.ts";

const POST: Fields = [
  ":method",
  "POST",
  ":scheme",
  "http",
  ":authority",
  "localhost",
  ":path",
  "/a.v1.A/Call",
  "te",
  "trailers",
];

/** Node's server, which echoes the body and one header, with trailers. */
async function nodeServer(): Promise<{ port: number; server: http2.Http2Server } & AsyncDisposable> {
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => {});
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "x-echo": headers["x-id"] ?? "" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.pipe(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    server,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

function ourServer() {
  return testServer({
    onStream(stream, list, endStream) {
      stream.respond(encodeBlock([":status", "200", "x-echo", list.get("x-id") ?? ""]));
      if (endStream) stream.trailers(TRAILERS);
      return echo;
    },
  });
}

interface TestConnection extends AsyncDisposable {
  readonly client: ClientConnection;
}

async function ourClient(port: number): Promise<TestConnection> {
  const { promise: closed, resolve } = Promise.withResolvers<unknown>();
  const client = openConnection(connect(port, "127.0.0.1"), { onClose: resolve });
  return {
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await closed;
    },
  };
}

async function nodeCall(session: http2.ClientHttp2Session, body: Buffer | undefined, id: string): Promise<Outcome> {
  const stream = session.request({ ":method": "POST", ":path": "/a.v1.A/Call", te: "trailers", "x-id": id });
  let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
  let trailers: string[] | undefined;
  const chunks: Buffer[] = [];
  stream.on("response", (headers) => {
    head = headers;
  });
  stream.on("trailers", (headers) => {
    trailers = Object.entries(headers).flat() as string[];
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.end(body);
  await once(stream, "close");
  const fields = ["x-echo", String(head["x-echo"])];
  return { status: String(head[":status"]), fields, body: Buffer.concat(chunks), trailers, reset: undefined };
}

const bodies: Record<string, Buffer> = {
  "an empty one": Buffer.alloc(0),
  "a small one": Buffer.from("hello"),
  "one of 16,385 bytes": Buffer.alloc(16_385, "ab"),
  "one of 5 MB": Buffer.alloc(5_000_000, "0123456789"),
};

type Caller = (body: Buffer, id: string) => Promise<Outcome>;
type Pairing = () => Promise<{ call: Caller } & AsyncDisposable>;

const pairings: Record<string, Pairing> = {
  "our server, Node's client": async () => {
    const server = await ourServer();
    const session = http2.connect(server.origin);
    return {
      call: (body, id) => nodeCall(session, body, id),
      async [Symbol.asyncDispose]() {
        session.close();
        await once(session, "close");
        await server[Symbol.asyncDispose]();
      },
    };
  },
  "Node's server, our client": async () => {
    const server = await nodeServer();
    const connection = await ourClient(server.port);
    return {
      call: (body, id) => call(connection.client, POST, body, ["x-id", id]),
      async [Symbol.asyncDispose]() {
        await connection[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  },
  "our server, our client": async () => {
    const server = await ourServer();
    const connection = await ourClient(server.port);
    return {
      call: (body, id) => call(connection.client, POST, body, ["x-id", id]),
      async [Symbol.asyncDispose]() {
        await connection[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  },
};

for (const [name, open] of Object.entries(pairings)) {
  describe(name, () => {
    for (const [what, body] of Object.entries(bodies)) {
      it(`echoes a body, ${what}, with headers and trailers`, async () => {
        await using pair = await open();
        const outcome = await pair.call(body, "x-1");
        assert.equal(outcome.reset, undefined);
        assert.equal(outcome.status, "200");
        assert.equal(outcome.fields[outcome.fields.indexOf("x-echo") + 1], "x-1");
        assert.ok(outcome.body.equals(body), `${outcome.body.length} bytes`);
        assert.ok(outcome.trailers?.join().includes("grpc-status,0"));
      });
    }

    it("carries 2,000 calls at once, 90 on their way at a time, each with its own headers", async () => {
      await using pair = await open();
      let next = 0;
      const lane = async () => {
        while (next < 2_000) {
          const id = `id-${next++}`;
          const body = Buffer.alloc(Number(id.slice(3)) % 700, id);
          const outcome = await pair.call(body, id);
          assert.equal(outcome.fields[outcome.fields.indexOf("x-echo") + 1], id);
          assert.ok(outcome.body.equals(body));
        }
      };
      await Promise.all(Array.from({ length: 90 }, lane));
    });
  });
}

describe("over TLS", () => {
  it("ALPN leads to our ends as to any others", async () => {
    const server = createTlsServer({ cert, key, ALPNProtocols: ["h2"] }, (socket) => {
      serveConnection(socket, { onStream: serveEcho });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = connectTls({ port, host: "127.0.0.1", ca: cert, ALPNProtocols: ["h2"] });
    const client = openConnection(socket, {});
    const body = Buffer.alloc(1_000_000, "x");
    const session = http2.connect(`https://127.0.0.1:${port}`, { ca: cert });
    const [ours, theirs] = await Promise.all([call(client, POST, body), nodeCall(session, body, "1")]);
    assert.ok(ours.body.equals(body) && theirs.body.equals(body));
    assert.equal(socket.alpnProtocol, "h2");
    client.close();
    session.close();
    server.close();
    await once(server, "close");
  });
});

/** Sends so many bytes as fast as the peer lets it. */
function pour(stream: Stream, bytes: number): () => void {
  const chunk = Buffer.alloc(64 * 1024);
  let left = bytes;
  return () => {
    while (left > 0) {
      left -= chunk.length;
      if (!stream.write(chunk, left <= 0)) return;
    }
  };
}

describe("300 MB", () => {
  const SIZE = 300 * 1024 * 1024;
  /** Most of it is what the garbage collector has not looked at yet. */
  const FLAT_BYTES = 100 * 1024 * 1024;

  for (const direction of ["down", "up"] as const) {
    it(`go ${direction} with flat memory, at the pace of a slow receiver`, async () => {
      const { promise, resolve } = Promise.withResolvers<number>();
      let peak = 0;
      const measure = () => {
        const { arrayBuffers, heapUsed } = process.memoryUsage();
        peak = Math.max(peak, arrayBuffers + heapUsed);
      };
      /** Consumes what came once a turn of the event loop. */
      const receiver = (): StreamEvents => {
        let received = 0;
        return {
          onData(stream, chunk, endStream) {
            received += chunk.length;
            const { length } = chunk;
            setImmediate(() => stream.consume(length));
            measure();
            if (endStream) resolve(received);
          },
          onTrailers() {},
          onReset: () => resolve(-1),
          onDrain() {},
        };
      };
      const sender = (stream: Stream): StreamEvents => {
        const go = pour(stream, SIZE);
        setImmediate(go);
        return { onData() {}, onTrailers() {}, onReset() {}, onDrain: go };
      };
      await using server = await testServer({
        onStream(stream) {
          stream.respond(encodeBlock([":status", "200"]), direction === "up");
          return direction === "up" ? receiver() : sender(stream);
        },
      });
      await using connection = await ourClient(server.port);
      globalThis.gc?.();
      measure();
      const before = peak;
      const down = receiver();
      const stream = connection.client.request({ head: POST, endStream: direction === "down", events: down });
      assert.ok(stream !== undefined);
      if (direction === "up") stream.events = sender(stream);
      assert.equal(await promise, SIZE);
      assert.ok(peak - before < FLAT_BYTES, `grew by ${Math.round((peak - before) / 1024)} KiB`);
    });
  }

  it("do not move at all where the receiver consumes nothing", async () => {
    let received = 0;
    const { promise: stalled, resolve } = Promise.withResolvers<number>();
    await using server = await testServer({
      limits: { stallTimeoutMs: 200 },
      onStream(stream) {
        stream.respond(encodeBlock([":status", "200"]));
        const go = pour(stream, SIZE);
        setImmediate(go);
        return { onData() {}, onTrailers() {}, onReset() {}, onDrain: go };
      },
    });
    await using connection = await ourClient(server.port);
    connection.client.request({
      head: POST,
      endStream: true,
      events: {
        onData(_stream, chunk) {
          received += chunk.length;
        },
        onTrailers() {},
        onReset: (_stream, code) => resolve(code),
        onDrain() {},
      },
    });
    assert.equal(await stalled, ErrorCode.CANCEL);
    assert.equal(received, 256 * 1024);
  });
});

describe("10,000 streams at once", () => {
  it("over ten connections are all answered", async () => {
    const waiting: Stream[] = [];
    let ready = () => {};
    const all = new Promise<void>((resolve) => {
      ready = resolve;
    });
    await using server = await testServer({
      onStream(stream: Stream, _list: HeaderList) {
        waiting.push(stream);
        if (waiting.length === 10_000) ready();
        return echo;
      },
    });
    const connections = await Promise.all(Array.from({ length: 10 }, () => ourClient(server.port)));
    const outcomes = connections.flatMap(({ client }, place) =>
      Array.from({ length: 1_000 }, (_, i) => call(client, POST, undefined, ["x-id", `${place}-${i}`])),
    );
    await all;
    for (const stream of waiting) {
      stream.respond(encodeBlock([":status", "200"]));
      stream.trailers(TRAILERS);
    }
    const statuses = new Set((await Promise.all(outcomes)).map(({ status, reset }) => reset?.cause ?? status));
    assert.deepEqual([...statuses], ["200"]);
    for (const connection of connections) await connection[Symbol.asyncDispose]();
  });
});

describe("endings", () => {
  it("Node's client finishes its calls when our server drains, and is told to go", async () => {
    let release = () => {};
    await using server = await testServer({
      onStream(stream) {
        release = () => stream.respond(encodeBlock([":status", "200"]), true);
        arrived();
        return { onData() {}, onTrailers() {}, onReset() {}, onDrain() {} };
      },
    });
    let arrived = () => {};
    const isHere = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const session = http2.connect(server.origin);
    const outcome = nodeCall(session, undefined, "1");
    await isHere;
    for (const connection of server.connections) connection.drain();
    await once(session, "goaway");
    release();
    assert.equal((await outcome).status, "200");
    await once(session, "close");
  });

  it("our client finishes its calls when Node's server closes", async () => {
    await using server = await nodeServer();
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const { promise: closed, resolve: close } = Promise.withResolvers<unknown>();
    const client = openConnection(connect(server.port, "127.0.0.1"), { onGoaway: () => resolve(), onClose: close });
    const session = once(server.server, "session") as Promise<[http2.ServerHttp2Session]>;
    const { promise: answered, resolve: answer } = Promise.withResolvers<HeaderList>();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const stream = client.request({
      head: POST,
      endStream: false,
      events: {
        onHeaders: (_stream, list) => answer(list),
        onData() {},
        onTrailers() {},
        onReset() {},
        onDrain() {},
        onClose: () => end(),
      },
    });
    await answered;
    (await session)[0].close();
    await gone;
    assert.equal(client.room(), 0);
    stream?.end();
    await ended;
    assert.equal(await closed, undefined);
  });

  it("our server tells its user when Node's client cancels or is lost", async () => {
    const seen: string[] = [];
    let wake = () => {};
    await using server = await testServer({
      onStream(stream) {
        stream.respond(encodeBlock([":status", "200"]));
        return {
          onData() {},
          onTrailers() {},
          onDrain() {},
          onReset(_stream, code, cause) {
            seen.push(`${cause} ${code}`);
            wake();
          },
        };
      },
    });
    const session = http2.connect(server.origin);
    session.on("error", () => {});
    for (const lose of [
      (stream: http2.ClientHttp2Stream) => stream.close(http2.constants.NGHTTP2_CANCEL),
      () => session.destroy(),
    ]) {
      const stream = session.request({ ":method": "POST", ":path": "/" });
      stream.on("error", () => {});
      await once(stream, "response");
      const told = new Promise<void>((resolve) => {
        wake = resolve;
      });
      lose(stream);
      await told;
    }
    assert.equal(seen[0], `peer ${ErrorCode.CANCEL}`);
    assert.match(seen[1] ?? "", /^(connection|peer) 8$/);
  });

  it("measures a round trip, also to Node", async () => {
    await using server = await nodeServer();
    await using connection = await ourClient(server.port);
    assert.ok((await connection.client.ping()) >= 0);
  });
});

it("a socket that was peeked at and given back is served", async () => {
  const { createServer } = await import("node:net");
  const server = createServer((socket: Socket) => {
    socket.once("readable", () => {
      const seen = socket.read() as Buffer;
      socket.unshift(seen);
      serveConnection(socket, { onStream: serveEcho });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const connection = await ourClient((server.address() as AddressInfo).port);
  assert.equal((await call(connection.client, POST, Buffer.from("hi"))).body.toString(), "hi");
  await connection[Symbol.asyncDispose]();
  server.close();
});
