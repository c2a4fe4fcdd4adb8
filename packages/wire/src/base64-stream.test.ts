import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, integer, property, uint8Array } from "fast-check";
import { Base64Decoder } from "./base64-stream.ts";

test("padded runs are decoded, however the text is cut", () => {
  check(
    property(array(uint8Array({ maxLength: 20 })), integer({ min: 1, max: 9 }), (runs, step) => {
      const text = Buffer.from(runs.map((run) => Buffer.from(run).toString("base64")).join(""));
      const decoder = new Base64Decoder();
      const decoded: Buffer[] = [];
      for (let at = 0; at < text.length; at += step) decoded.push(decoder.push(text.subarray(at, at + step)));
      assert.deepEqual(Buffer.concat(decoded), Buffer.concat(runs));
      assert.ok(decoder.complete());
    }),
  );
});

test("a cut group is not complete", () => {
  const decoder = new Base64Decoder();
  decoder.push(Buffer.from("QUJ"));
  assert.equal(decoder.complete(), false);
});

test("what is no base64 is told, and gives no bytes from there on", () => {
  for (const text of ["!!!!", "QUJD QUJD", "QU=J", "====", "QUJD-_-_", "Q===", "QUJDQUJDQUJ\n"]) {
    const decoder = new Base64Decoder();
    decoder.push(Buffer.from(text));
    assert.ok(decoder.malformed, text);
    assert.ok(!decoder.complete());
    assert.equal(decoder.push(Buffer.from("QUJD")).length, 0);
  }
});
