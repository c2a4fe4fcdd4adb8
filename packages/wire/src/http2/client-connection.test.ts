/** Our client against a server that breaks rules or goes away: what its caller is told, and whether a call may be repeated. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import { openConnection } from "./client-connection.ts";
import { ErrorCode } from "./error-code.ts";
import { Flag, FrameType } from "./frame.ts";
import { data, frame, GET, headers, number, POST, setting } from "./frame-bytes.fake.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeBlock, type Fields } from "./hpack-encoder.ts";
import type { RawPeer } from "./raw-peer.fake.ts";
import type { Stream, StreamEvents } from "./stream.ts";
import { call, testClient } from "./test-client.fake.ts";

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, STREAM_CLOSED, COMPRESSION_ERROR, REFUSED_STREAM } = ErrorCode;
const bytes = (hex: string) => Buffer.from(hex, "hex");
const OK: Fields = [":status", "200"];

function goaway(lastStreamId: number, code: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStreamId);
  payload.writeUInt32BE(code, 4);
  return frame(FrameType.GOAWAY, 0, 0, payload);
}

describe("the connection ends", () => {
  const cases: Record<string, [number, readonly Uint8Array[]]> = {
    "by HEADERS on a stream nobody opened": [PROTOCOL_ERROR, [headers(3, OK, true)]],
    "by HEADERS on an even stream": [PROTOCOL_ERROR, [headers(2, OK, true)]],
    "by HEADERS on a closed stream": [STREAM_CLOSED, [headers(1, OK, true), headers(1, OK, true)]],
    "by PUSH_PROMISE": [PROTOCOL_ERROR, [frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1, bytes("0000000282"))]],
    "by ENABLE_PUSH of 1": [PROTOCOL_ERROR, [setting(2, 1)]],
    "by a broken header block": [COMPRESSION_ERROR, [frame(FrameType.HEADERS, Flag.END_HEADERS, 1, bytes("80"))]],
    "by a frame that is too long": [FRAME_SIZE_ERROR, [headers(1, OK, false), data(1, 16_385)]],
  };
  for (const [name, [code, frames]] of Object.entries(cases)) {
    it(name, async () => {
      await using test = await testClient();
      const outcome = call(test.client, GET);
      test.peer.send(...frames);
      assert.equal(await test.peer.goawayCode(), code);
      await outcome;
      assert.match(String(await test.reason), /ConnectionFault/);
      assert.equal(test.client.room(), 0);
    });
  }

  it("by a server that speaks something else", async () => {
    await using test = await testClient({}, false);
    test.peer.send(Buffer.from("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"));
    assert.match(String(await test.reason), /ConnectionFault/);
  });

  it("by a server that says nothing", async () => {
    await using test = await testClient({ limits: { settingsTimeoutMs: 50 } }, false);
    const outcome = call(test.client, GET);
    assert.equal(await test.peer.goawayCode(), ErrorCode.SETTINGS_TIMEOUT);
    assert.equal((await outcome).reset?.cause, "connection");
  });
});

describe("only the call ends", () => {
  const cases: Record<string, [number, readonly Uint8Array[]]> = {
    "by DATA before the head": [PROTOCOL_ERROR, [data(1, 1)]],
    "by a head without a status": [PROTOCOL_ERROR, [headers(1, ["a", "b"], true)]],
    "by a status of 101": [PROTOCOL_ERROR, [headers(1, [":status", "101"], false)]],
    "by an informational head that ends it": [PROTOCOL_ERROR, [headers(1, [":status", "100"], true)]],
    "by a body short of its content-length": [
      PROTOCOL_ERROR,
      [headers(1, [...OK, "content-length", "3"], false), data(1, 2, true)],
    ],
    "by no body short of its content-length": [PROTOCOL_ERROR, [headers(1, [...OK, "content-length", "3"], true)]],
    "by a second head": [PROTOCOL_ERROR, [headers(1, OK, false), headers(1, OK, true)]],
    "by too long a head": [PROTOCOL_ERROR, [headers(1, [...OK, "x", "y".repeat(17_000)], true)]],
  };
  for (const [name, [code, frames]] of Object.entries(cases)) {
    it(name, async () => {
      await using test = await testClient();
      test.peer.send(setting(5, 65_536));
      const outcome = call(test.client, GET);
      test.peer.send(...frames);
      assert.deepEqual((await outcome).reset, { code, cause: "fault" });
      assert.equal(await test.peer.resetCode(1), code);
      const next = call(test.client, GET);
      test.peer.send(headers(3, OK, true));
      assert.equal((await next).reset, undefined);
    });
  }

  it("by RST_STREAM, and the caller knows whether it may repeat it", async () => {
    await using test = await testClient();
    const calls = [call(test.client, GET), call(test.client, GET)];
    test.peer.send(number(FrameType.RST_STREAM, 1, REFUSED_STREAM), number(FrameType.RST_STREAM, 3, ErrorCode.CANCEL));
    assert.deepEqual(
      (await Promise.all(calls)).map(({ reset }) => reset),
      [
        { code: REFUSED_STREAM, cause: "refused" },
        { code: ErrorCode.CANCEL, cause: "peer" },
      ],
    );
  });
});

describe("an answer", () => {
  it("may have informational heads before it", async () => {
    await using test = await testClient();
    const seen: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    test.client.request({
      head: GET,
      endStream: true,
      events: {
        onInformational: (_stream, { status, fields }) => seen.push(status, ...fields),
        onHeaders: (_stream, { status }) => seen.push(status),
        onData() {},
        onTrailers() {},
        onReset() {},
        onDrain() {},
        onClose: () => resolve(),
      },
    });
    test.peer.send(headers(1, [":status", "103", "link", "x"], false), headers(1, OK, true));
    await promise;
    assert.deepEqual(seen, ["103", "link", "x", "200"]);
  });

  it("to HEAD, of 204 and of 304 has no body, whatever its content-length says", async () => {
    await using test = await testClient();
    const calls = [
      call(test.client, [":method", "HEAD", ...GET.slice(2)]),
      call(test.client, GET),
      call(test.client, GET),
    ];
    const length = ["content-length", "5"];
    test.peer.send(headers(1, [...OK, ...length], true));
    test.peer.send(headers(3, [":status", "204", ...length], true), headers(5, [":status", "304", ...length], true));
    assert.deepEqual(
      (await Promise.all(calls)).map(({ status, reset }) => [status, reset]),
      [
        ["200", undefined],
        ["204", undefined],
        ["304", undefined],
      ],
    );
  });

  it("before the end of the request leaves the rest to the caller", async () => {
    await using test = await testClient();
    const { promise, resolve } = Promise.withResolvers<string>();
    const stream = test.client.request({
      head: POST,
      endStream: false,
      events: {
        onHeaders: (_stream, { status }) => resolve(status),
        onData() {},
        onTrailers() {},
        onReset() {},
        onDrain() {},
      },
    });
    test.peer.send(headers(1, OK, true));
    assert.equal(await promise, "200");
    assert.equal(test.client.openStreams(), 1);
    stream?.end();
    assert.equal(test.client.openStreams(), 0);
    assert.equal((await test.peer.frame(FrameType.DATA)).flags, Flag.END_STREAM);
  });
});

describe("GOAWAY", () => {
  it("while idle ends the connection, and a call after it is not sent", async () => {
    let told: number[] = [];
    await using test = await testClient({ onGoaway: (...args) => (told = args) });
    test.peer.send(goaway(0, ErrorCode.NO_ERROR));
    assert.equal(await test.reason, undefined);
    assert.deepEqual(told, [0, 0]);
    assert.equal(test.client.room(), 0);
    assert.equal(test.client.request({ head: GET, endStream: true, events: {} as never }), undefined);
    await test.peer.closed;
  });

  it("while busy ends the calls above its number as refused, and lets the others finish", async () => {
    await using test = await testClient();
    const calls = [call(test.client, GET), call(test.client, GET)];
    test.peer.send(goaway(2 ** 31 - 1, ErrorCode.NO_ERROR), goaway(1, ErrorCode.NO_ERROR));
    assert.deepEqual((await calls[1])?.reset, { code: REFUSED_STREAM, cause: "refused" });
    assert.equal(test.client.room(), 0);
    test.peer.send(headers(1, OK, true));
    assert.equal((await calls[0])?.status, "200");
    assert.equal(await test.reason, undefined);
  });

  it("is what a client says that closes, after its last answer", async () => {
    await using test = await testClient();
    const last = call(test.client, GET);
    test.client.close();
    assert.equal(test.client.room(), 0);
    assert.equal(await test.peer.goawayCode(), ErrorCode.NO_ERROR);
    test.peer.send(headers(1, OK, true));
    assert.equal((await last).status, "200");
    assert.equal(await test.reason, undefined);
  });
});

describe("a server that is lost", () => {
  for (const [name, lose] of Object.entries({
    "by FIN": (peer: { socket: { end(): void } }) => peer.socket.end(),
    "by RST": (peer: { socket: { resetAndDestroy(): void } }) => peer.socket.resetAndDestroy(),
  })) {
    it(`${name} ends the calls under way`, async () => {
      await using test = await testClient();
      const outcome = call(test.client, POST, Buffer.alloc(10));
      await test.peer.frame(FrameType.HEADERS);
      lose(test.peer as never);
      assert.equal((await outcome).reset?.cause, "connection");
      assert.ok((await test.reason) instanceof Error);
      assert.equal(await test.client.ping(), -1);
    });
  }

  it("without a word is found out by a ping", async () => {
    await using test = await testClient({ limits: { pingIntervalMs: 40, pingTimeoutMs: 40 } });
    const outcome = call(test.client, GET);
    await test.peer.frame(FrameType.PING, ({ flags }) => flags === 0);
    assert.equal((await outcome).reset?.cause, "connection");
    assert.match(String(await test.reason), /ping/);
  });
});

describe("room", () => {
  it("is what the server allows, less what is open", async () => {
    let told = () => {};
    await using test = await testClient({ onSettings: () => told() });
    const settled = new Promise<void>((resolve) => {
      told = () => test.client.maxConcurrentStreams() === 2 && resolve();
    });
    test.peer.send(setting(3, 2));
    await settled;
    const calls = [call(test.client, GET), call(test.client, GET)];
    assert.equal(test.client.room(), 0);
    assert.equal(test.client.openStreams(), 2);
    test.peer.send(headers(1, OK, true));
    await calls[0];
    assert.equal(test.client.room(), 1);
  });
});

describe("the table for what a client sends", () => {
  it("shrinks when the server says so, and the next request tells it", async () => {
    let settled = () => {};
    await using test = await testClient({ onSettings: () => settled() }, true);
    const decoder = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: 16_384, maxMemoBytes: 0 });
    const head = [...GET.slice(0, 6), ":path", "/a/long/path", "x-a", "1"];
    const listOf = async (id: number) => {
      const { payload } = await test.peer.frame(FrameType.HEADERS, (frame) => frame.id === id);
      return decoder.decode(payload, 0, payload.length).path;
    };
    void call(test.client, head);
    assert.equal(await listOf(1), "/a/long/path");
    const told = new Promise<void>((resolve) => {
      settled = resolve;
    });
    test.peer.send(setting(1, 50));
    await told;
    void call(test.client, head);
    void call(test.client, head);
    assert.equal(await listOf(3), "/a/long/path");
    assert.equal(await listOf(5), "/a/long/path");
    const second = await test.peer.frame(FrameType.HEADERS, (frame) => frame.id === 3);
    assert.deepEqual(second.payload.subarray(0, 3), bytes("203f13"));
  });
});

it("a call that its caller gave up while another one ended hears nothing more", async () => {
  for (const end of [
    (peer: RawPeer) => peer.send(goaway(0, ErrorCode.NO_ERROR)),
    (peer: RawPeer) => peer.socket.resetAndDestroy(),
  ]) {
    await using test = await testClient();
    const told: number[] = [];
    const streams: (Stream | undefined)[] = [];
    const events: StreamEvents = {
      onData() {},
      onTrailers() {},
      onDrain() {},
      onReset(stream) {
        told.push(stream.id);
        for (const other of streams) other?.reset();
      },
    };
    for (let i = 0; i < 3; i++) streams.push(test.client.request({ head: GET, endStream: true, events }));
    await test.peer.frame(FrameType.HEADERS, ({ id }) => id === 5);
    end(test.peer);
    await test.reason;
    assert.deepEqual(told, [1]);
  }
});

it("a socket that is gone already ends at once", async () => {
  const socket = new Socket();
  socket.destroy();
  await once(socket, "close");
  await new Promise<unknown>((resolve) => openConnection(socket, { onClose: resolve }));
});

it("a field that may not be sent is refused before anything is sent", async () => {
  await using test = await testClient();
  assert.throws(
    () => test.client.request({ head: GET, rest: ["X", "1"], endStream: true, events: {} as never }),
    TypeError,
  );
  const outcome = call(test.client, GET);
  test.peer.send(headers(1, OK, true));
  assert.equal((await outcome).status, "200");
  assert.deepEqual(encodeBlock(OK), new Uint8Array([0x88]));
});
