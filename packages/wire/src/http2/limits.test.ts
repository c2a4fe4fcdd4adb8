/** Each limit of a connection, against a peer that goes beyond it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CloseReason } from "./connection.ts";
import { ErrorCode } from "./error-code.ts";
import { Flag, FrameType, PREFACE } from "./frame.ts";
import { data, EMPTY_SETTINGS, frame, GET, headers, number, POST, SETTINGS_ACK, setting } from "./frame-bytes.fake.ts";
import { encodeBlock } from "./hpack-encoder.ts";
import { type Limits, withDefaults } from "./limits.ts";
import type { RawPeer } from "./raw-peer.fake.ts";
import type { ServerOptions } from "./server-connection.ts";
import type { ResetCause, Stream } from "./stream.ts";
import { echo, OK, type TestServer, testServer } from "./test-server.fake.ts";

const { ENHANCE_YOUR_CALM, REFUSED_STREAM, CANCEL, SETTINGS_TIMEOUT, NO_ERROR } = ErrorCode;
const PING = frame(FrameType.PING, 0, 0, Buffer.alloc(8));
const silent = { onData() {}, onTrailers() {}, onReset() {}, onDrain() {} };
const isEnd = (id: number) => (frame: { id: number; flags: number }) =>
  frame.id === id && (frame.flags & Flag.END_STREAM) !== 0;

interface Watched extends TestServer {
  /** Why the first connection ended. */
  readonly reason: Promise<CloseReason>;
}

async function limited(limits: Partial<Limits>, options: Partial<ServerOptions> = {}): Promise<Watched> {
  const { promise, resolve } = Promise.withResolvers<CloseReason>();
  const server = await testServer({ limits, ...options, onClose: resolve });
  return Object.assign(server, { reason: promise });
}

async function sends(peer: RawPeer, times: number, make: (turn: number) => Uint8Array): Promise<void> {
  for (let turn = 0; turn < times; turn += 100) {
    peer.send(...Array.from({ length: Math.min(100, times - turn) }, (_, i) => make(turn + i)));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("requests", () => {
  it("above the number of streams are refused, and may come again", async () => {
    await using server = await limited({ maxConcurrentStreams: 2 });
    const peer = await server.raw();
    peer.send(headers(1, POST, false), headers(3, POST, false), headers(5, POST, false));
    assert.equal(await peer.resetCode(5), REFUSED_STREAM);
    peer.send(data(1, 1, true));
    await peer.frame(FrameType.HEADERS, isEnd(1));
    peer.send(headers(7, GET, true));
    await peer.frame(FrameType.HEADERS, isEnd(7));
  });

  it("with too long a header list are answered 431", async () => {
    await using server = await limited({ maxHeaderListBytes: 300 });
    const peer = await server.raw();
    peer.send(headers(1, [...GET, "x", "y".repeat(200)], true), headers(3, GET, true));
    const answer = await peer.frame(FrameType.HEADERS, isEnd(1));
    assert.ok(answer.payload.equals(encodeBlock([":status", "431"])));
    await peer.frame(FrameType.HEADERS, isEnd(3));
  });

  it("with too long a header block end the connection, in one frame or in many", async () => {
    for (const frames of [
      [frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.alloc(1_001, 0x82))],
      [
        frame(FrameType.HEADERS, 0, 1, Buffer.alloc(600, 0x82)),
        frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(401, 0x82)),
      ],
    ]) {
      await using server = await limited({ maxHeaderBlockBytes: 1_000 });
      const peer = await server.raw();
      peer.send(...frames);
      assert.equal(await peer.goawayCode(), ENHANCE_YOUR_CALM);
      await peer.closed;
    }
  });

  it("with CONTINUATION without end end the connection, though each is empty (CVE-2024-27316)", async () => {
    await using server = await limited({ maxContinuations: 4 });
    const peer = await server.raw();
    peer.send(frame(FrameType.HEADERS, 0, 1, encodeBlock(GET)), ...Array(5).fill(frame(FrameType.CONTINUATION, 0, 1)));
    assert.equal(await peer.goawayCode(), ENHANCE_YOUR_CALM);
  });

  it("in as many CONTINUATION frames as allowed are served", async () => {
    await using server = await limited({ maxContinuations: 4 });
    const peer = await server.raw();
    const more = frame(FrameType.CONTINUATION, 0, 1);
    const last = frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1);
    peer.send(frame(FrameType.HEADERS, Flag.END_STREAM, 1, encodeBlock(GET)), more, more, more, last);
    await peer.frame(FrameType.HEADERS, isEnd(1));
  });
});

describe("floods", () => {
  const floods: Record<string, (turn: number) => Uint8Array> = {
    PING: () => PING,
    SETTINGS: () => EMPTY_SETTINGS,
    acknowledgements: () => SETTINGS_ACK,
    PRIORITY: () => frame(FrameType.PRIORITY, 0, 9, Buffer.alloc(5)),
    GOAWAY: () => frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(8)),
    "empty DATA": () => data(1, 0),
    "unknown frames": () => frame(200, 0, 0),
  };
  for (const [name, make] of Object.entries(floods)) {
    it(`of ${name} end the connection`, async () => {
      await using server = await limited({ controlBurst: 50, controlPerSecond: 0 });
      const peer = await server.raw();
      peer.send(headers(1, POST, false));
      await sends(peer, 60, make);
      assert.equal(await peer.goawayCode(), ENHANCE_YOUR_CALM);
      await peer.closed;
    });
  }

  it("of pings beside calls are no flood: clients measure their way so", async () => {
    await using server = await limited({ controlBurst: 50, controlPerSecond: 0 });
    const peer = await server.raw();
    for (let id = 1; id < 601; id += 2) {
      peer.send(headers(id, GET, true), PING);
      await peer.frame(FrameType.HEADERS, isEnd(id));
    }
    assert.ok(peer.frames.every(({ type }) => type !== FrameType.GOAWAY));
  });

  it("of resets end the connection (CVE-2023-44487)", async () => {
    await using server = await limited({ resetBurst: 50, resetPerSecond: 0 }, { onStream: () => silent });
    const peer = await server.raw();
    await sends(peer, 60, (turn) =>
      Buffer.concat([headers(2 * turn + 1, GET, true), number(FrameType.RST_STREAM, 2 * turn + 1, CANCEL)]),
    );
    assert.equal(await peer.goawayCode(), ENHANCE_YOUR_CALM);
    await server.reason;
    assert.equal(server.connections.size, 0);
  });

  it("of streams that we are made to reset end the connection (CVE-2025-8671)", async () => {
    await using server = await limited({ resetBurst: 50, resetPerSecond: 0 }, { onStream: () => silent });
    const peer = await server.raw();
    await sends(peer, 60, (turn) =>
      Buffer.concat([headers(2 * turn + 1, GET, true), number(FrameType.WINDOW_UPDATE, 2 * turn + 1, 0)]),
    );
    assert.equal(await peer.goawayCode(), ENHANCE_YOUR_CALM);
  });

  it("of resets are none where most calls are let finish", async () => {
    await using server = await limited({ resetBurst: 10, resetPerSecond: 0 });
    const peer = await server.raw();
    let id = 1;
    for (let turn = 0; turn < 100; turn++) {
      peer.send(
        headers(id, GET, true),
        headers(id + 2, GET, true),
        headers(id + 4, POST, false),
        number(3, id + 4, CANCEL),
      );
      await peer.frame(FrameType.HEADERS, isEnd(id + 2));
      id += 6;
    }
    assert.ok(peer.frames.every(({ type }) => type !== FrameType.GOAWAY));
  });

  it("of tiny windows, which make us send tiny frames, end the connection (CVE-2019-9511)", async () => {
    const onStream = (stream: Stream) => {
      stream.respond(OK);
      stream.write(Buffer.alloc(10_000), true);
      return silent;
    };
    await using server = await limited({ controlBurst: 50, controlPerSecond: 0 }, { onStream });
    const peer = await server.raw(false);
    peer.send(PREFACE, setting(4, 0), SETTINGS_ACK, headers(1, GET, true));
    await sends(peer, 60, () => number(FrameType.WINDOW_UPDATE, 1, 1));
    assert.equal(await peer.goawayCode(), ENHANCE_YOUR_CALM);
  });
});

describe("a peer that does not read", () => {
  it("and goes on asking is cut off, with bounded memory", async () => {
    await using server = await limited({ maxOutputBytes: 20_000, controlBurst: 10_000_000 });
    const peer = await server.raw();
    peer.socket.pause();
    const many = Buffer.concat(Array(2_000).fill(PING));
    let open = true;
    const ended = server.reason.finally(() => {
      open = false;
    });
    while (open) {
      peer.send(many);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(String(await ended), /does not read/);
  });

  it("and has its answers waiting is cut off in time", async () => {
    const resets: ResetCause[] = [];
    await using server = await limited(
      { stallTimeoutMs: 100 },
      {
        onStream(stream) {
          stream.respond(OK);
          for (let i = 0; i < 40; i++) stream.write(Buffer.alloc(1024 * 1024));
          return { ...silent, onReset: (_stream, _code, cause) => resets.push(cause) };
        },
      },
    );
    const peer = await server.raw(false);
    peer.send(
      PREFACE,
      setting(4, 2 ** 31 - 1),
      SETTINGS_ACK,
      number(8, 0, 2 ** 31 - 1 - 65_535),
      headers(1, GET, true),
    );
    peer.socket.pause();
    assert.match(String(await server.reason), /does not read/);
    assert.deepEqual(resets, ["connection"]);
  });

  it("makes streams wait from the high-water mark on, and go on when it reads", async () => {
    const chunk = Buffer.alloc(64 * 1024);
    let refused = 0;
    let left = 1_000;
    const go = (stream: Stream) => {
      while (left > 0) {
        left -= 1;
        if (stream.write(chunk, left === 0)) continue;
        refused += 1;
        return;
      }
    };
    await using server = await limited(
      { outputHighWaterBytes: 128 * 1024 },
      {
        onStream(stream) {
          stream.respond(OK);
          go(stream);
          return { ...silent, onDrain: go };
        },
      },
    );
    const peer = await server.raw(false);
    peer.socket.pause();
    peer.send(
      PREFACE,
      setting(4, 2 ** 31 - 1),
      SETTINGS_ACK,
      number(8, 0, 2 ** 31 - 1 - 65_535),
      headers(1, GET, true),
    );
    // What the kernel's buffers take is its own business; that it stops is ours.
    let before = -1;
    while (before !== left) {
      before = left;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(left > 0 && refused > 0, `${left} chunks left`);
    peer.socket.resume();
    await peer.frame(FrameType.DATA, isEnd(1));
    assert.equal(left, 0);
  });

  it("with its windows only, loses that stream and no other", async () => {
    const resets: ResetCause[] = [];
    await using server = await limited(
      { stallTimeoutMs: 100 },
      {
        onStream(stream, { path }) {
          stream.respond(OK, path === "/");
          if (path !== "/") stream.write(Buffer.alloc(1));
          return { ...silent, onReset: (_stream, _code, cause) => resets.push(cause) };
        },
      },
    );
    const peer = await server.raw(false);
    peer.send(PREFACE, setting(4, 0), SETTINGS_ACK, headers(1, [...GET.slice(0, 6), ":path", "/body"], true));
    assert.equal(await peer.resetCode(1), CANCEL);
    assert.deepEqual(resets, ["stalled"]);
    peer.send(headers(3, GET, true));
    await peer.frame(FrameType.HEADERS, isEnd(3));
  });
});

describe("a peer that takes its time", () => {
  const slow: Record<string, [Partial<Limits>, readonly Uint8Array[], number]> = {
    "for its preface": [{ settingsTimeoutMs: 60 }, [PREFACE.subarray(0, 10)], SETTINGS_TIMEOUT],
    "for its settings": [{ settingsTimeoutMs: 60 }, [PREFACE], SETTINGS_TIMEOUT],
    "to acknowledge ours": [{ settingsTimeoutMs: 60 }, [PREFACE, EMPTY_SETTINGS], SETTINGS_TIMEOUT],
    "in the middle of a header block": [
      { headersTimeoutMs: 60 },
      [PREFACE, EMPTY_SETTINGS, SETTINGS_ACK, frame(1, 0, 1, encodeBlock(GET))],
      ENHANCE_YOUR_CALM,
    ],
    "in the middle of HEADERS": [
      { headersTimeoutMs: 60 },
      [PREFACE, EMPTY_SETTINGS, SETTINGS_ACK, headers(1, GET, true).subarray(0, 11)],
      ENHANCE_YOUR_CALM,
    ],
    "in the middle of a frame's header": [
      { headersTimeoutMs: 60 },
      [PREFACE, EMPTY_SETTINGS, SETTINGS_ACK, PING.subarray(0, 4)],
      ENHANCE_YOUR_CALM,
    ],
  };
  for (const [name, [limits, frames, code]] of Object.entries(slow)) {
    it(`${name} is cut off`, async () => {
      await using server = await limited(limits);
      const peer = await server.raw(false);
      peer.send(...frames);
      assert.equal(await peer.goawayCode(), code);
      await peer.closed;
    });
  }

  it("does not gain any by sending single bytes", async () => {
    await using server = await limited({ headersTimeoutMs: 100 });
    const peer = await server.raw();
    peer.send(frame(FrameType.HEADERS, 0, 1, Buffer.alloc(0)));
    const block = frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, Buffer.alloc(10_000, 0x82));
    let open = true;
    void peer.closed.then(() => {
      open = false;
    });
    for (let at = 0; open && at < block.length; at++) {
      peer.send(block.subarray(at, at + 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(await peer.goawayCode(), ENHANCE_YOUR_CALM);
  });

  it("with a body is waited for", async () => {
    await using server = await limited({ headersTimeoutMs: 20, settingsTimeoutMs: 50 }, { onStream: () => echo });
    const peer = await server.raw();
    const body = data(1, 20, true);
    peer.send(headers(1, POST, false), body.subarray(0, 15));
    await new Promise((resolve) => setTimeout(resolve, 100));
    peer.send(body.subarray(15));
    await peer.frame(FrameType.HEADERS, isEnd(1));
  });

  it("without streams is told to go", async () => {
    await using server = await limited({ idleTimeoutMs: 60, goawayGraceMs: 40 });
    const peer = await server.raw();
    peer.send(headers(1, GET, true));
    // It never answers the ping of a graceful end: the second GOAWAY comes all the same.
    await peer.frame(FrameType.GOAWAY, ({ payload }) => payload.readUInt32BE(0) === 1);
    assert.equal(await peer.goawayCode(), NO_ERROR);
    await peer.closed;
    assert.equal(await server.reason, undefined);
  });

  it("and answers no ping is dead, with its streams", async () => {
    const resets: ResetCause[] = [];
    await using server = await limited(
      { pingIntervalMs: 40, pingTimeoutMs: 40 },
      { onStream: () => ({ ...silent, onReset: (_stream, _code, cause) => resets.push(cause) }) },
    );
    const peer = await server.raw();
    peer.send(headers(1, POST, false));
    await peer.frame(FrameType.PING);
    await peer.closed;
    assert.match(String(await server.reason), /ping/);
    assert.deepEqual(resets, ["connection"]);
  });

  it("and answers pings may be silent for as long as it likes", async () => {
    await using server = await limited({ pingIntervalMs: 20, pingTimeoutMs: 1_000 });
    const peer = await server.raw();
    peer.send(headers(1, POST, false));
    for (let count = 1; count <= 4; count++) {
      const pings = () => peer.frames.filter(({ type }) => type === FrameType.PING);
      const { payload } = await peer.frame(FrameType.PING, (frame) => pings().indexOf(frame as never) === count - 1);
      peer.send(frame(FrameType.PING, Flag.ACK, 0, payload));
    }
    peer.send(data(1, 1, true));
    await peer.frame(FrameType.HEADERS, isEnd(1));
  });
});

it("limits that cannot be kept are refused at the start", () => {
  for (const wrong of [
    { maxFrameBytes: 16_383 },
    { maxFrameBytes: 2 ** 24 },
    { streamWindowBytes: 65_534 },
    { connectionWindowBytes: 2 ** 31 },
    { headerTableBytes: -1 },
    { headerTableBytes: Number.NaN },
  ]) {
    assert.throws(() => withDefaults(wrong), RangeError);
  }
});
