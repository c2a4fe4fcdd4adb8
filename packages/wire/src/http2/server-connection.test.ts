/** Our server against a peer that breaks rules: which error it says, and whether the stream or the connection ends (RFC 9113). */
import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { ErrorCode } from "./error-code.ts";
import { Flag, FrameType, PREFACE } from "./frame.ts";
import { data, EMPTY_SETTINGS, frame, GET, headers, number, POST, SETTINGS_ACK, setting } from "./frame-bytes.fake.ts";
import { encodeBlock } from "./hpack-encoder.ts";
import type { RawPeer } from "./raw-peer.fake.ts";
import { serveConnection } from "./server-connection.ts";
import { serveEcho, testServer } from "./test-server.fake.ts";

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, COMPRESSION_ERROR } = ErrorCode;
const OPEN = headers(1, POST, false);
const bytes = (hex: string) => Buffer.from(hex, "hex");
const isEnd = (id: number) => (frame: { id: number; flags: number }) =>
  frame.id === id && (frame.flags & Flag.END_STREAM) !== 0;

/** The server still answers. */
async function stillServes(peer: RawPeer, id: number): Promise<void> {
  peer.send(headers(id, GET, true));
  await peer.frame(FrameType.HEADERS, isEnd(id));
}

describe("the connection ends", () => {
  const cases: Record<string, [number, readonly Uint8Array[]]> = {
    "by DATA on stream 0": [PROTOCOL_ERROR, [data(0, 1)]],
    "by DATA on an idle stream": [PROTOCOL_ERROR, [data(1, 1)]],
    "by DATA with too much padding": [PROTOCOL_ERROR, [OPEN, frame(0, Flag.PADDED, 1, bytes("0200"))]],
    "by HEADERS on stream 0": [PROTOCOL_ERROR, [headers(0, GET, true)]],
    "by HEADERS on an even stream": [PROTOCOL_ERROR, [headers(2, GET, true)]],
    "by HEADERS on a closed stream": [STREAM_CLOSED, [headers(3, GET, true), headers(1, GET, true)]],
    "by HEADERS with too much padding": [PROTOCOL_ERROR, [frame(1, Flag.PADDED | Flag.END_HEADERS, 1, bytes("0382"))]],
    "by HEADERS without its padding": [FRAME_SIZE_ERROR, [frame(1, Flag.PADDED | Flag.END_HEADERS, 1)]],
    "by HEADERS without its priority": [FRAME_SIZE_ERROR, [frame(1, Flag.PRIORITY | Flag.END_HEADERS, 1, bytes("00"))]],
    "by a broken header block": [COMPRESSION_ERROR, [frame(1, Flag.END_HEADERS, 1, bytes("80"))]],
    "by PRIORITY on stream 0": [PROTOCOL_ERROR, [frame(2, 0, 0, bytes("0000000000"))]],
    "by RST_STREAM on stream 0": [PROTOCOL_ERROR, [number(3, 0, 0)]],
    "by RST_STREAM on an idle stream": [PROTOCOL_ERROR, [number(3, 1, 0)]],
    "by RST_STREAM of a wrong length": [FRAME_SIZE_ERROR, [OPEN, frame(3, 0, 1, bytes("00"))]],
    "by SETTINGS on a stream": [PROTOCOL_ERROR, [frame(4, 0, 1)]],
    "by SETTINGS of a wrong length": [FRAME_SIZE_ERROR, [frame(4, 0, 0, bytes("0001"))]],
    "by an acknowledgement with settings": [FRAME_SIZE_ERROR, [frame(4, Flag.ACK, 0, bytes("000100000000"))]],
    "by ENABLE_PUSH of 2": [PROTOCOL_ERROR, [setting(2, 2)]],
    "by a window that is too large": [FLOW_CONTROL_ERROR, [setting(4, 2 ** 31)]],
    "by a frame size that is too small": [PROTOCOL_ERROR, [setting(5, 16_383)]],
    "by a frame size that is too large": [PROTOCOL_ERROR, [setting(5, 16_777_216)]],
    "by PUSH_PROMISE": [PROTOCOL_ERROR, [OPEN, frame(5, Flag.END_HEADERS, 1, bytes("0000000282"))]],
    "by PING on a stream": [PROTOCOL_ERROR, [frame(6, 0, 1, Buffer.alloc(8))]],
    "by PING of a wrong length": [FRAME_SIZE_ERROR, [frame(6, 0, 0, Buffer.alloc(7))]],
    "by GOAWAY on a stream": [PROTOCOL_ERROR, [frame(7, 0, 1, Buffer.alloc(8))]],
    "by GOAWAY of a wrong length": [FRAME_SIZE_ERROR, [frame(7, 0, 0, Buffer.alloc(7))]],
    "by WINDOW_UPDATE of a wrong length": [FRAME_SIZE_ERROR, [frame(8, 0, 0, Buffer.alloc(3))]],
    "by WINDOW_UPDATE by nothing": [PROTOCOL_ERROR, [number(8, 0, 0)]],
    "by WINDOW_UPDATE beyond the largest window": [FLOW_CONTROL_ERROR, [number(8, 0, 2 ** 31 - 1)]],
    "by WINDOW_UPDATE on an idle stream": [PROTOCOL_ERROR, [number(8, 1, 1)]],
    "by settings that make a stream's window too large": [
      FLOW_CONTROL_ERROR,
      [OPEN, number(8, 1, 2 ** 31 - 1 - 65_535), setting(4, 65_536)],
    ],
    "by CONTINUATION without HEADERS": [PROTOCOL_ERROR, [frame(9, Flag.END_HEADERS, 1)]],
    "by CONTINUATION of another stream": [PROTOCOL_ERROR, [frame(1, 0, 1, bytes("82")), frame(9, 4, 3, bytes("82"))]],
    "by a frame inside a header block": [
      PROTOCOL_ERROR,
      [frame(1, 0, 1, bytes("82")), frame(6, 0, 0, Buffer.alloc(8))],
    ],
    "by an unknown frame inside a header block": [PROTOCOL_ERROR, [frame(1, 0, 1, bytes("82")), frame(99, 0, 0)]],
    "by a frame that is too long": [FRAME_SIZE_ERROR, [OPEN, data(1, 16_385)]],
    "by DATA beyond the connection's window": [
      FLOW_CONTROL_ERROR,
      [headers(1, POST, false), headers(3, POST, false), ...[1, 3, 1, 3, 1].map((id) => data(id, 16_384))],
    ],
  };
  for (const [name, [code, frames]] of Object.entries(cases)) {
    it(name, async () => {
      // It consumes nothing, so that windows can be exceeded; both are as small as they may be.
      const silent = { onData() {}, onTrailers() {}, onReset() {}, onDrain() {} };
      const limits = { connectionWindowBytes: 65_535, streamWindowBytes: 65_535 };
      await using server = await testServer({ limits, onStream: () => silent });
      const peer = await server.raw();
      peer.send(...frames);
      assert.equal(await peer.goawayCode(), code);
      await peer.closed;
    });
  }

  it("by a wrong preface", async () => {
    await using server = await testServer();
    const peer = await server.raw(false);
    peer.send(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    assert.equal(await peer.goawayCode(), PROTOCOL_ERROR);
    await peer.closed;
  });

  for (const [name, first] of Object.entries({
    PING: frame(6, 0, 0, Buffer.alloc(8)),
    "an acknowledgement": SETTINGS_ACK,
  })) {
    it(`by ${name} before SETTINGS`, async () => {
      await using server = await testServer();
      const peer = await server.raw(false);
      peer.send(PREFACE, first);
      assert.equal(await peer.goawayCode(), PROTOCOL_ERROR);
    });
  }
});

describe("only the stream ends", () => {
  const ended = headers(1, GET, true);
  const cases: Record<string, [number, readonly Uint8Array[]]> = {
    "by DATA after its end": [STREAM_CLOSED, [ended, data(1, 1)]],
    "by DATA beyond its content-length": [
      PROTOCOL_ERROR,
      [headers(1, [...POST, "content-length", "2"], false), data(1, 3)],
    ],
    "by DATA short of its content-length": [
      PROTOCOL_ERROR,
      [headers(1, [...POST, "content-length", "2"], false), data(1, 1, true)],
    ],
    "by trailers short of its content-length": [
      PROTOCOL_ERROR,
      [headers(1, [...POST, "content-length", "2"], false), headers(1, ["a", "b"], true)],
    ],
    "by no body short of its content-length": [PROTOCOL_ERROR, [headers(1, [...POST, "content-length", "2"], true)]],
    "by trailers that do not end it": [PROTOCOL_ERROR, [OPEN, headers(1, ["a", "b"], false)]],
    "by trailers with a pseudo-header field": [PROTOCOL_ERROR, [OPEN, headers(1, [":method", "GET"], true)]],
    "by a malformed request": [PROTOCOL_ERROR, [headers(1, [":method", "GET"], true)]],
    "by a value with a line break": [
      PROTOCOL_ERROR,
      [frame(1, Flag.END_HEADERS, 1, Buffer.concat([encodeBlock(GET), bytes("000161030d0a62")]))],
    ],
    // Found by fuzz: Node drops such a field without a word.
    "by a value with a control character": [
      PROTOCOL_ERROR,
      [frame(1, Flag.END_HEADERS, 1, Buffer.concat([encodeBlock(GET), bytes("0001610101")]))],
    ],
    "by a value with white space before it": [
      PROTOCOL_ERROR,
      [frame(1, Flag.END_HEADERS, 1, Buffer.concat([encodeBlock(GET), bytes("0001610220" + "62")]))],
    ],
    "by depending on itself": [
      PROTOCOL_ERROR,
      [frame(1, Flag.END_HEADERS | Flag.PRIORITY, 1, Buffer.concat([bytes("0000000110"), encodeBlock(GET)]))],
    ],
    "by PRIORITY of a wrong length": [FRAME_SIZE_ERROR, [OPEN, frame(2, 0, 1, Buffer.alloc(4))]],
    "by WINDOW_UPDATE by nothing": [PROTOCOL_ERROR, [OPEN, number(8, 1, 0)]],
    "by WINDOW_UPDATE beyond the largest window": [FLOW_CONTROL_ERROR, [OPEN, number(8, 1, 2 ** 31 - 1)]],
  };
  for (const [name, [code, frames]] of Object.entries(cases)) {
    it(name, async () => {
      await using server = await testServer();
      const peer = await server.raw();
      peer.send(...frames);
      assert.equal(await peer.resetCode(1), code);
      await stillServes(peer, 3);
    });
  }

  it("by DATA beyond its window", async () => {
    const silent = { onData() {}, onTrailers() {}, onReset() {}, onDrain() {} };
    await using server = await testServer({ limits: { streamWindowBytes: 65_535 }, onStream: () => silent });
    const peer = await server.raw();
    peer.send(OPEN, ...[1, 2, 3, 4].map(() => data(1, 16_384)));
    assert.equal(await peer.resetCode(1), FLOW_CONTROL_ERROR);
  });

  it("by frames that crossed our reset nothing ends, and their table entries count", async () => {
    await using server = await testServer({
      onStream(stream, list, endStream) {
        if (list.path === "/refuse") stream.reset(ErrorCode.REFUSED_STREAM);
        return serveEcho(stream, list, endStream);
      },
    });
    const peer = await server.raw();
    peer.send(headers(1, [...POST.slice(0, 6), ":path", "/refuse"], false));
    await peer.resetCode(1);
    const insertsPath = Buffer.concat([bytes("83864401" + "2f"), bytes("4001610162")]);
    peer.send(data(1, 10), number(8, 1, 1), frame(1, Flag.END_HEADERS | Flag.END_STREAM, 1, insertsPath));
    peer.send(frame(1, Flag.END_HEADERS | Flag.END_STREAM, 3, bytes("8386bfbe")));
    await peer.frame(FrameType.HEADERS, isEnd(3));
    assert.equal(peer.frames.filter(({ type }) => type === FrameType.RST_STREAM).length, 1);
  });
});

describe("it goes on", () => {
  it("after unknown frames, unknown settings, unknown flags and PRIORITY", async () => {
    await using server = await testServer();
    const peer = await server.raw();
    peer.send(frame(99, 255, 77, Buffer.alloc(9)), setting(0xff, 1), frame(2, 0, 5, Buffer.from("0000000110", "hex")));
    await stillServes(peer, 1);
  });

  it("answers PING with its data, and SETTINGS with an acknowledgement", async () => {
    await using server = await testServer();
    const peer = await server.raw();
    peer.send(frame(FrameType.PING, 0, 0, Buffer.from("12345678")));
    assert.equal((await peer.frame(FrameType.PING)).payload.toString(), "12345678");
    await peer.frame(FrameType.SETTINGS, ({ flags }) => flags === Flag.ACK);
  });

  it("sends no more than the windows and the frame size of the peer allow", async () => {
    const head = encodeBlock([":status", "200"]);
    await using server = await testServer({
      onStream(stream) {
        stream.respond(head);
        stream.write(Buffer.alloc(50), true);
        return { onData() {}, onTrailers() {}, onReset() {}, onDrain() {} };
      },
    });
    const peer = await server.raw(false);
    peer.send(PREFACE, setting(4, 3), SETTINGS_ACK, headers(1, GET, true));
    assert.equal((await peer.frame(FrameType.DATA)).payload.length, 3);
    peer.send(setting(4, 5));
    assert.equal((await peer.frame(FrameType.DATA, (frame) => frame.payload.length === 2)).flags, 0);
    // Below nothing, and up again (section 6.9.2).
    peer.send(setting(4, 0), number(8, 1, 5), number(8, 1, 45));
    assert.equal((await peer.frame(FrameType.DATA, isEnd(1))).payload.length, 45);
  });

  it("cuts a header block that is longer than the peer's frames", async () => {
    const long = "x".repeat(20_000);
    await using server = await testServer({
      onStream(stream) {
        stream.respond(encodeBlock([":status", "200", "x-long", `${long}~`, "x-more", "\xff".repeat(20_000)]), true);
        return { onData() {}, onTrailers() {}, onReset() {}, onDrain() {} };
      },
    });
    const peer = await server.raw();
    peer.send(headers(1, GET, true));
    const last = await peer.frame(FrameType.CONTINUATION, ({ flags }) => (flags & Flag.END_HEADERS) !== 0);
    assert.equal(last.id, 1);
    assert.ok(peer.frames.every(({ payload }) => payload.length <= 16_384));
  });

  it("tells a peer with a smaller table that it uses none", async () => {
    await using server = await testServer();
    const peer = await server.raw(false);
    peer.send(PREFACE, setting(1, 100), SETTINGS_ACK, headers(1, GET, true), headers(3, GET, true));
    await peer.frame(FrameType.HEADERS, isEnd(3));
    const firstBytes = peer.frames.filter(({ type }) => type === FrameType.HEADERS).map(({ payload }) => payload[0]);
    assert.equal(firstBytes[0], 0x20);
    assert.ok(firstBytes.slice(1).every((byte) => byte !== 0x20));
  });

  it("takes requests that are on their way when it drains, refuses later ones, and ends after the last answer", async () => {
    await using server = await testServer();
    const peer = await server.raw();
    peer.send(headers(1, POST, false));
    await peer.frame(FrameType.HEADERS, ({ id }) => id === 1);
    for (const connection of server.connections) connection.drain();
    const first = await peer.frame(FrameType.GOAWAY);
    assert.equal(first.payload.readUInt32BE(0), 2 ** 31 - 1);
    const ping = await peer.frame(FrameType.PING);
    peer.send(headers(3, POST, false), frame(FrameType.PING, Flag.ACK, 0, ping.payload));
    const second = await peer.frame(FrameType.GOAWAY, ({ payload }) => payload.readUInt32BE(0) === 3);
    assert.equal(second.payload.readUInt32BE(4), ErrorCode.NO_ERROR);
    // What follows a refused request is on its way too, and is nobody's fault.
    peer.send(headers(5, POST, false), data(5, 9), number(8, 5, 1), headers(5, ["a", "b"], true));
    peer.send(data(1, 5, true), data(3, 5, true));
    await peer.frame(FrameType.HEADERS, isEnd(1));
    await peer.frame(FrameType.HEADERS, isEnd(3));
    await peer.closed;
    assert.ok(peer.frames.every(({ id }) => id !== 5));
    assert.equal(peer.frames.filter(({ type }) => type === FrameType.GOAWAY).length, 2);
  });

  it("never names a later stream in GOAWAY than it did before (section 6.8)", async () => {
    await using server = await testServer({ limits: { goawayGraceMs: 20, settingsTimeoutMs: 60 } });
    const peer = await server.raw();
    peer.send(headers(1, POST, false));
    await peer.frame(FrameType.HEADERS, ({ id }) => id === 1);
    for (const connection of server.connections) connection.drain();
    await peer.frame(FrameType.GOAWAY, ({ payload }) => payload.readUInt32BE(0) === 1);
    peer.send(headers(3, POST, false), data(0, 1));
    const last = await peer.frame(FrameType.GOAWAY, ({ payload }) => payload.readUInt32BE(4) === PROTOCOL_ERROR);
    assert.equal(last.payload.readUInt32BE(0), 1);
  });
});

it("a peer's first SETTINGS may come in any pieces", async () => {
  await using server = await testServer();
  const peer = await server.raw(false);
  for (const byte of Buffer.concat([PREFACE, EMPTY_SETTINGS, headers(1, GET, true)])) {
    peer.send(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await peer.frame(FrameType.HEADERS, isEnd(1));
});

it("an error of its user ends the connection and is not swallowed", async () => {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const closed = new Promise((resolve) => {
    serveConnection(socket, {
      onStream() {
        throw new Error("mine");
      },
      onClose: resolve,
    });
  });
  const request = Buffer.concat([PREFACE, EMPTY_SETTINGS, headers(1, GET, true)]);
  assert.throws(() => socket.emit("data", request), /mine/);
  assert.match(String(await closed), /callback/);
});
