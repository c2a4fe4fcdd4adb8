import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { frame } from "./frame-bytes.fake.ts";
import { FrameReader } from "./frame-reader.ts";
import type { Frame } from "./raw-peer.fake.ts";

const anyFrame = fc.record(
  {
    type: fc.nat(255),
    flags: fc.nat(255),
    id: fc.nat(2 ** 31 - 1),
    payload: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  },
  { noNullPrototype: true },
);

function readerInto(frames: Frame[], maxFrameBytes = 16_384): FrameReader {
  return new FrameReader(maxFrameBytes, (type, flags, id, bytes, start, end) => {
    frames.push({ type, flags, id, payload: Buffer.from(bytes.subarray(start, end)) });
    return true;
  });
}

test("frames are the same however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(anyFrame), fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(({ type, flags, id, payload }) => frame(type, flags, id, payload)));
      const received: Frame[] = [];
      const reader = readerInto(received);
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const next = at + (cuts[turn % cuts.length] as number);
        reader.push(bytes.subarray(at, next));
        at = next;
      }
      assert.deepEqual(received, sent);
      assert.equal(reader.waitsForControl(), false);
    }),
    { numRuns: Number(process.env.FUZZ_RUNS ?? 200) },
  );
});

test("the highest bit of a stream's number is ignored", () => {
  const received: Frame[] = [];
  readerInto(received).push(frame(0, 0, 0xffffffff));
  assert.equal(received[0]?.id, 0x7fffffff);
});

test("a frame that is too long is refused by its header, in one piece or in many", () => {
  const tooLong = (error: unknown) => error instanceof ConnectionFault && error.code === ErrorCode.FRAME_SIZE_ERROR;
  const header = frame(0, 0, 1, Buffer.alloc(17)).subarray(0, 9);
  assert.throws(() => readerInto([], 16).push(header), tooLong);
  const reader = readerInto([], 16);
  assert.throws(() => {
    for (const byte of header) reader.push(Buffer.from([byte]));
  }, tooLong);
});

test("a body that is kept is not overwritten by what comes later", () => {
  const kept: Buffer[] = [];
  const reader = new FrameReader(16_384, (_type, _flags, _id, bytes, start, end) => {
    kept.push(bytes.subarray(start, end));
    return true;
  });
  const bytes = Buffer.concat([1, 2, 3].map((fill) => frame(0, 0, 1, Buffer.alloc(20, fill))));
  for (let at = 0; at < bytes.length; at += 7) reader.push(bytes.subarray(at, at + 7));
  assert.deepEqual(
    kept,
    [1, 2, 3].map((fill) => Buffer.alloc(20, fill)),
  );
});

test("nothing is read behind the frame that says stop", () => {
  let count = 0;
  const reader = new FrameReader(16_384, () => {
    count += 1;
    return false;
  });
  reader.push(Buffer.concat([frame(0, 0, 1), frame(0, 0, 1)]));
  assert.equal(count, 1);
});
