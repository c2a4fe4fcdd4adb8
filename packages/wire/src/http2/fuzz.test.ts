/**
 * Bytes that nobody would send. FUZZ_RUNS makes it long (default 150 of each): the seed of a failure is printed, and its bytes
 * become a test of their own.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { duplexPair } from "node:stream";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { openConnection } from "./client-connection.ts";
import { ErrorCode } from "./error-code.ts";
import { Flag, FrameType, PREFACE } from "./frame.ts";
import { EMPTY_SETTINGS, frame, number, POST, SETTINGS_ACK, setting } from "./frame-bytes.fake.ts";
import { FrameReader } from "./frame-reader.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeBlock, type Fields } from "./hpack-encoder.ts";
import { RawPeer } from "./raw-peer.fake.ts";
import { serveConnection } from "./server-connection.ts";
import type { Stream, StreamEvents } from "./stream.ts";
import { echo, OK } from "./test-server.fake.ts";

const numRuns = Number(process.env.FUZZ_RUNS ?? 150);

const REQUEST = encodeBlock([...POST, "content-length", "5", "x-a", "1"]);
const blocks = [REQUEST, encodeBlock(POST), encodeBlock([":status", "200"]), encodeBlock(["grpc-status", "0"])];

/** Frames as a peer may send them, with a taste for what is at the edge. */
const anyFrame = fc
  .record({
    type: fc.oneof({ weight: 9, arbitrary: fc.nat(9) }, { weight: 1, arbitrary: fc.nat(255) }),
    flags: fc.constantFrom(0, 1, 4, 5, 8, 9, 0xc, 0xd, 0x20, 0x24, 0x25, 0x2d, 0xff),
    id: fc.constantFrom(0, 1, 1, 1, 2, 3, 3, 5, 7, 0x7fffffff),
    payload: fc.oneof(
      fc.constantFrom(...blocks),
      fc.uint8Array({ maxLength: 12 }),
      fc.constantFrom(4, 5, 6, 8, 12).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
      fc
        .constantFrom(
          "00000001",
          "00000000",
          "7fffffff",
          "0000000000000000",
          "000400000000",
          "00047fffffff",
          "000100000000",
        )
        .map((hex) => new Uint8Array(Buffer.from(hex, "hex"))),
      fc.nat(20_000).map((length) => new Uint8Array(length)),
    ),
  })
  .map(({ type, flags, id, payload }) => frame(type, flags, id, payload));

/** Without these nothing would get beyond the first fault. */
const wellFormed = fc.constantFrom(
  frame(FrameType.HEADERS, Flag.END_HEADERS, 1, REQUEST),
  frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 3, encodeBlock(POST)),
  frame(FrameType.HEADERS, Flag.END_HEADERS, 5, encodeBlock(POST)),
  frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 5, encodeBlock(["grpc-status", "0"])),
  frame(FrameType.HEADERS, Flag.END_HEADERS, 1, encodeBlock([":status", "200"])),
  frame(FrameType.HEADERS, Flag.END_HEADERS, 3, encodeBlock([":status", "200", "content-length", "5"])),
  Buffer.concat([
    frame(FrameType.HEADERS, 0, 7, REQUEST.subarray(0, 5)),
    frame(FrameType.CONTINUATION, 0, 7, REQUEST.subarray(5, 6)),
    frame(FrameType.CONTINUATION, Flag.END_HEADERS, 7, REQUEST.subarray(6)),
  ]),
  frame(FrameType.DATA, 0, 1, Buffer.from("hel")),
  frame(FrameType.DATA, Flag.END_STREAM, 1, Buffer.from("lo")),
  frame(FrameType.DATA, Flag.END_STREAM | Flag.PADDED, 3, Buffer.from("\x02hello\0\0")),
  frame(FrameType.DATA, 0, 5, Buffer.alloc(16_384)),
  setting(1, 0),
  setting(1, 100),
  setting(3, 1),
  setting(4, 0),
  setting(4, 10),
  setting(4, 200_000),
  setting(5, 20_000),
  setting(6, 100),
  number(FrameType.WINDOW_UPDATE, 0, 100_000),
  number(FrameType.WINDOW_UPDATE, 1, 1),
  number(FrameType.WINDOW_UPDATE, 5, 100_000),
  number(FrameType.RST_STREAM, 1, ErrorCode.CANCEL),
  number(FrameType.RST_STREAM, 5, ErrorCode.REFUSED_STREAM),
  frame(FrameType.PRIORITY, 0, 9, Buffer.from("0000000110", "hex")),
  frame(FrameType.PING, 0, 0, Buffer.alloc(8)),
  frame(FrameType.PING, Flag.ACK, 0, Buffer.from("0000000000000001", "hex")),
  frame(FrameType.GOAWAY, 0, 0, Buffer.from("0000000300000000", "hex")),
);

const mutation = fc.record({ at: fc.nat(), byte: fc.nat(255), kind: fc.constantFrom("set", "flip", "cut", "double") });

/** What a peer sends after its settings, and how it arrives. */
const traffic = fc.record({
  frames: fc.array(fc.oneof({ weight: 1, arbitrary: anyFrame }, { weight: 12, arbitrary: wellFormed }), {
    minLength: 1,
    maxLength: 40,
  }),
  mutations: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(mutation, { maxLength: 4 }) },
  ),
  cuts: fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 5 }),
});

function mutated(bytes: Buffer, mutations: readonly { at: number; byte: number; kind: string }[]): Buffer {
  let result = Buffer.from(bytes);
  for (const { at, byte, kind } of mutations) {
    if (result.length === 0) break;
    const place = at % result.length;
    if (kind === "set") result[place] = byte;
    else if (kind === "flip") result[place] = (result[place] as number) ^ (1 << (byte % 8));
    else if (kind === "cut") result = Buffer.concat([result.subarray(0, place), result.subarray(place + (byte % 16))]);
    else result = Buffer.concat([result.subarray(0, place), result.subarray(Math.max(0, place - byte))]);
  }
  return result;
}

/** Counts what a stream is told, and holds that nothing comes after its end. */
class Told {
  open = 0;
  readonly #ended = new WeakSet<Stream>();

  events(inner: StreamEvents): StreamEvents {
    const tell =
      <A extends unknown[]>(method: ((stream: Stream, ...rest: A) => void) | undefined) =>
      (stream: Stream, ...rest: A) => {
        assert.ok(!this.#ended.has(stream), "nothing comes after the end");
        method?.call(inner, stream, ...rest);
      };
    const end = <A extends unknown[]>(method: ((stream: Stream, ...rest: A) => void) | undefined) => {
      const told = tell(method);
      return (stream: Stream, ...rest: A) => {
        told(stream, ...rest);
        this.#ended.add(stream);
        this.open -= 1;
      };
    };
    return {
      onHeaders: tell(inner.onHeaders),
      onData: tell(inner.onData),
      onTrailers: tell(inner.onTrailers),
      onDrain: tell(inner.onDrain),
      onReset: end(inner.onReset),
      onClose: end(inner.onClose),
    };
  }
}

/** Sends it all, ends, and holds that what comes back is frames, until our side is closed. */
async function pump(
  socket: import("node:stream").Duplex,
  bytes: Buffer,
  cuts: readonly number[],
  skip: number,
  closed: Promise<unknown>,
): Promise<void> {
  let toSkip = skip;
  const reader = new FrameReader(16_384, () => true);
  socket.on("data", (chunk: Buffer) => {
    const skipped = Math.min(toSkip, chunk.length);
    toSkip -= skipped;
    reader.push(chunk.subarray(skipped));
  });
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const next = at + (cuts[turn % cuts.length] as number);
    socket.write(bytes.subarray(at, next));
    at = next;
    // A turn of the event loop: what is to be sent goes out at its end.
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
  // Not the end of this side: one half of a pair never hears that the other was destroyed.
  await closed;
  socket.destroy();
}

test("a server survives anything, and every stream it hands out ends once", async () => {
  await fc.assert(
    fc.asyncProperty(traffic, async ({ frames, mutations, cuts }) => {
      const [ours, theirs] = duplexPair();
      const told = new Told();
      const closed = new Promise((resolve) => {
        serveConnection(ours, {
          limits: { streamWindowBytes: 65_535, connectionWindowBytes: 65_535, outputHighWaterBytes: 20_000 },
          onStream(stream, _list, endStream) {
            told.open += 1;
            const events = told.events(echo);
            // Whatever happens while it is handed out is told to the same events.
            stream.events = events;
            stream.respond(OK);
            if (endStream) stream.end();
            return events;
          },
          onClose: resolve,
        });
      });
      const bytes = Buffer.concat([PREFACE, EMPTY_SETTINGS, SETTINGS_ACK, mutated(Buffer.concat(frames), mutations)]);
      await pump(theirs, bytes, cuts, 0, closed);
      assert.equal(told.open, 0);
    }),
    { numRuns },
  );
});

test("a client survives anything, and every call ends once", async () => {
  await fc.assert(
    fc.asyncProperty(traffic, async ({ frames, mutations, cuts }) => {
      const [ours, theirs] = duplexPair();
      const told = new Told();
      const closed = new Promise((resolve) => {
        const client = openConnection(ours, { onClose: resolve });
        for (const endStream of [true, false, true]) {
          told.open += 1;
          const events = told.events({
            ...echo,
            onTrailers() {},
            onData: (stream, { length }) => stream.consume(length),
          });
          const stream = client.request({ head: POST, endStream, events });
          if (!endStream) stream?.write(Buffer.alloc(100));
        }
      });
      await pump(
        theirs,
        Buffer.concat([EMPTY_SETTINGS, SETTINGS_ACK, mutated(Buffer.concat(frames), mutations)]),
        cuts,
        PREFACE.length,
        closed,
      );
      assert.equal(told.open, 0);
    }),
    { numRuns },
  );
});

let node: { port: number; server: http2.Http2Server };
/** What Node made of the newest request. */
let heard: ((fields: string[]) => void) | undefined;

before(async () => {
  const server = http2.createServer();
  server.on("session", (session) => session.on("error", () => {}));
  server.on("stream", (stream, _headers, _flags, raw: string[]) => {
    stream.on("error", () => {});
    heard?.(raw);
    stream.respond({ ":status": 200 }, { endStream: true });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  node = { port: (server.address() as AddressInfo).port, server };
});

after(async () => {
  const closed = once(node.server, "close");
  node.server.close();
  await closed;
});

/** What Node's HPACK says of blocks, one request each. @returns fields of each; "broken" where a connection error ends it. */
async function nodeDecodes(sent: readonly Buffer[]): Promise<(string[] | "malformed" | "broken")[]> {
  const socket = connect(node.port, "127.0.0.1");
  await once(socket, "connect");
  const peer = new RawPeer(socket, false);
  const results: (string[] | "malformed" | "broken")[] = [];
  try {
    peer.send(PREFACE, EMPTY_SETTINGS, SETTINGS_ACK);
    for (const [place, block] of sent.entries()) {
      const id = place * 2 + 1;
      let fields: string[] | undefined;
      heard = (raw) => {
        fields = raw;
      };
      peer.send(frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, id, block));
      const answer = peer
        .frame(FrameType.HEADERS, (frame) => frame.id === id)
        .then(
          () => "answer",
          () => "closed",
        );
      const reset = peer
        .frame(FrameType.RST_STREAM, (frame) => frame.id === id)
        .then(
          () => "reset",
          () => "closed",
        );
      const goaway = peer.goawayCode().then(
        (code) => (code === ErrorCode.COMPRESSION_ERROR ? "broken" : "other"),
        () => "closed",
      );
      const what = await Promise.race([answer, reset, goaway]);
      results.push(fields ?? (what === "broken" ? "broken" : "malformed"));
      if (what !== "answer" && what !== "reset") break;
    }
  } finally {
    socket.destroy();
    await peer.closed;
  }
  return results;
}

function weDecode(sent: readonly Buffer[], count: number): (string[] | "malformed" | "broken")[] {
  const decoder = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: 65_536, maxMemoBytes: 65_536 });
  const results: (string[] | "malformed" | "broken")[] = [];
  for (const block of sent.slice(0, count)) {
    try {
      const list = decoder.decode(block, 0, block.length);
      const pseudo = [":method", list.method, ":scheme", list.scheme, ":path", list.path, ":authority", list.authority];
      results.push(list.requestFault() === undefined ? [...pseudo, ...list.fields] : "malformed");
    } catch {
      results.push("broken");
      break;
    }
  }
  return results;
}

/** As pairs, sorted: where pseudo-header fields stand, and what is empty, is told differently. */
function comparable(fields: readonly string[]): string[] {
  const pairs: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (!(fields[i] === ":authority" && fields[i + 1] === "")) pairs.push(`${fields[i]}: ${fields[i + 1]}`);
  }
  return pairs.sort();
}

test("HPACK is broken for us where it is for Node, and says the same otherwise", async () => {
  const table = [
    "4001610162",
    "be",
    "bf",
    "20",
    "3fe11f",
    "3f09",
    "0f2f0161",
    "1f2f0161",
    "7f810001620163",
    "0082",
  ].map((hex) => Buffer.from(hex, "hex"));
  const tail = fc.array(fc.oneof(fc.constantFrom(...table), fc.uint8Array({ maxLength: 6 })), { maxLength: 4 });
  const block = fc
    .record({ tail, mutations: fc.array(mutation, { maxLength: 2 }), first: fc.boolean() })
    .map(({ tail, mutations, first }) => {
      const own = Buffer.concat(tail);
      return mutated(
        first ? Buffer.concat([own, encodeBlock(POST)]) : Buffer.concat([encodeBlock(POST), own]),
        mutations,
      );
    });
  await fc.assert(
    fc.asyncProperty(fc.array(block, { minLength: 1, maxLength: 4 }), async (sent) => {
      const theirs = await nodeDecodes(sent);
      const ours = weDecode(sent, theirs.length);
      for (const [place, their] of theirs.entries()) {
        const our = ours[place];
        assert.equal(our === "broken", their === "broken", `block ${place}: ${our} here, ${their} there`);
        // Which messages are malformed beyond that is stricter here, so only what both take is compared.
        if (Array.isArray(our) && Array.isArray(their))
          assert.deepEqual(comparable(our), comparable(their as Fields as string[]));
      }
    }),
    { numRuns },
  );
});
