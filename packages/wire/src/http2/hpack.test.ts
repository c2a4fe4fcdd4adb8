import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeBlock, type Fields, HpackEncoder } from "./hpack-encoder.ts";
import { DynamicTable } from "./hpack-table.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.ts";

const LIMITS = { maxTableBytes: 4_096, maxListBytes: 16_384, maxMemoBytes: 65_536 };

function allOf(decoder: HpackDecoder, block: Uint8Array): string[] {
  const list = decoder.decode(Buffer.from(block), 0, block.length);
  const pseudo: string[] = [];
  for (const name of ["method", "scheme", "path", "authority", "status"] as const) {
    if (list[name] !== "") pseudo.push(`:${name}`, list[name]);
  }
  return [...pseudo, ...list.fields];
}

/** RFC 7541, appendix C: blocks of one connection each, with what they say. Pseudo-header fields in our own order. */
const REQUESTS = [
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"],
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com", "cache-control", "no-cache"],
  [":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com", "custom-key"].concat(
    "custom-value",
  ),
];
const DATE = "Mon, 21 Oct 2013 20:13:21 GMT";
const COOKIE = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const LOCATION = ["location", "https://www.example.com"];
const RESPONSES = [
  [":status", "302", "cache-control", "private", "date", DATE, ...LOCATION],
  [":status", "307", "cache-control", "private", "date", DATE, ...LOCATION],
  [":status", "200", "cache-control", "private", "date", DATE.replace(":21 GMT", ":22 GMT"), ...LOCATION].concat([
    "content-encoding",
    "gzip",
    "set-cookie",
    COOKIE,
  ]),
];
/** The responses' examples assume a table of 256 bytes: a size update says so first. */
const TABLE_OF_256 = "3fe101";
const EXAMPLES: Record<string, { hex: string[]; says: string[][] }> = {
  "C.2.1": { hex: ["400a637573746f6d2d6b65790d637573746f6d2d686561646572"], says: [["custom-key", "custom-header"]] },
  "C.2.2": { hex: ["040c2f73616d706c652f70617468"], says: [[":path", "/sample/path"]] },
  "C.2.3": { hex: ["100870617373776f726406736563726574"], says: [["password", "secret"]] },
  "C.2.4": { hex: ["82"], says: [[":method", "GET"]] },
  "C.3": {
    hex: [
      "828684410f7777772e6578616d706c652e636f6d",
      "828684be58086e6f2d6361636865",
      "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ],
    says: REQUESTS,
  },
  "C.4": {
    hex: [
      "828684418cf1e3c2e5f23a6ba0ab90f4ff",
      "828684be5886a8eb10649cbf",
      "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ],
    says: REQUESTS,
  },
  "C.5": {
    hex: [
      `${TABLE_OF_256}4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d`,
      "4803333037c1c0bf",
      "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    ],
    says: RESPONSES,
  },
  "C.6": {
    hex: [
      `${TABLE_OF_256}488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3`,
      "4883640effc1c0bf",
      "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ],
    says: RESPONSES,
  },
};

function decodeAll(...hex: string[]): string[][] {
  const decoder = new HpackDecoder(LIMITS);
  return hex.map((block) => allOf(decoder, Buffer.from(block, "hex")));
}

const compressionError = (error: unknown) =>
  error instanceof ConnectionFault && error.code === ErrorCode.COMPRESSION_ERROR;

describe("RFC 7541, appendix C", () => {
  for (const [section, { hex, says }] of Object.entries(EXAMPLES)) {
    it(`decodes ${section}`, () => assert.deepEqual(decodeAll(...hex), says));
  }

  it("keeps C.2.3 out of every table on the way", () => {
    const decoder = new HpackDecoder(LIMITS);
    const block = Buffer.from("100870617373776f726406736563726574", "hex");
    assert.deepEqual(decoder.decode(block, 0, block.length).sensitive, ["password"]);
  });

  it("codes its strings by Huffman as the RFC does", () => {
    for (const [text, hex] of [
      ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
      ["no-cache", "a8eb10649cbf"],
      ["custom-value", "25a849e95bb8e8b4bf"],
      [DATE, "d07abe941054d444a8200595040b8166e082a62d1bff"],
      [COOKIE, "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"],
    ] as const) {
      const target = Buffer.alloc(huffmanLength(text));
      assert.equal(encodeHuffman(text, target, 0), target.length);
      assert.equal(target.toString("hex"), hex);
    }
  });
});

describe("the Huffman code", () => {
  const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });

  it("gives back every text", () => {
    fc.assert(
      fc.property(latin1, (text) => {
        const coded = Buffer.alloc(huffmanLength(text));
        encodeHuffman(text, coded, 0);
        const target = Buffer.alloc(Math.ceil((coded.length * 8) / 5));
        const length = decodeHuffman(coded, 0, coded.length, target);
        assert.equal(target.toString("latin1", 0, length), text);
      }),
    );
  });

  it("refuses padding that is too long or not all ones, and the end of string itself", () => {
    for (const hex of ["1fff", "ffff", "18", "ffffffff", "fffffffc", "3fffffffff"]) {
      const coded = Buffer.from(hex, "hex");
      assert.equal(decodeHuffman(coded, 0, coded.length, Buffer.alloc(16)), -1, hex);
    }
  });

  it("reads every input or refuses it, and never writes beyond the room it asks for", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (coded) => {
        const room = Math.ceil((coded.length * 8) / 5);
        const target = Buffer.alloc(room + 8, 0xee);
        const length = decodeHuffman(coded, 0, coded.length, target);
        assert.ok(length >= -1 && length <= room);
        assert.ok(target.subarray(room).every((byte) => byte === 0xee));
      }),
    );
  });
});

describe("the decoder", () => {
  it("refuses what points, counts or runs beyond what is there", () => {
    for (const hex of [
      "80", // index 0
      "be", // an empty dynamic table
      "ff80808080", // an integer that never ends
      "ffffffffff7f", // one that is too large
      "ff", // one that is cut off
      "00", // a name that is cut off
      "0005616263", // a string that is cut off
      "000161", // a value that is cut off
      "3fe11f20823f", // a size update behind a field
      "3fe21f", // a table of 4,097 bytes
      "00810001", // Huffman padding of zeros
    ]) {
      assert.throws(() => decodeAll(hex), compressionError, hex);
    }
  });

  it("forgets what a table that was made smaller has no room for", () => {
    assert.throws(() => decodeAll("40016101624001630164", "20be"), compressionError);
    assert.deepEqual(decodeAll("40016101624001630164", "3f03be")[1], ["c", "d"]);
    assert.throws(() => decodeAll("40016101624001630164", "3f03bf"), compressionError);
  });

  it("insists on a smaller table once the peer has agreed to it", () => {
    const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes: 100 });
    assert.deepEqual(allOf(decoder, Buffer.from("4001610162", "hex")), ["a", "b"]);
    decoder.acknowledged();
    assert.throws(() => allOf(decoder, Buffer.from("be", "hex")), compressionError);
    decoder.acknowledged();
    assert.throws(() => allOf(decoder, Buffer.from("3f46be", "hex")), compressionError);
    assert.deepEqual(allOf(decoder, Buffer.from("3f45be", "hex")), ["a", "b"]);
  });

  it("leaves out what a list has no room for, and still keeps its tables", () => {
    const decoder = new HpackDecoder({ ...LIMITS, maxListBytes: 100 });
    const big = encodeBlock(["a", "x".repeat(90)]);
    assert.equal(decoder.decode(Buffer.from(big), 0, big.length).oversize, true);
    const bomb = Buffer.concat([Buffer.from("4001610162", "hex"), Buffer.alloc(10_000, 0xbe)]);
    const list = decoder.decode(bomb, 0, bomb.length);
    assert.equal(list.oversize, true);
    assert.ok(list.fields.length <= 4);
    assert.deepEqual(allOf(decoder, Buffer.from("be", "hex")), ["a", "b"]);
  });

  it("decodes anything or refuses it with COMPRESSION_ERROR", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 8 }), (blocks) => {
        const decoder = new HpackDecoder(LIMITS);
        try {
          for (const block of blocks) allOf(decoder, block);
        } catch (error) {
          assert.ok(compressionError(error), String(error));
        }
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 500) },
    );
  });
});

describe("the memo of blocks", () => {
  const block = Buffer.from(encodeBlock(["x-a", "1", "x-b", "2"]));
  const decode = (decoder: HpackDecoder, bytes: Buffer) => decoder.decode(bytes, 0, bytes.length);

  it("gives the same list for the same bytes, from the third time on", () => {
    const decoder = new HpackDecoder(LIMITS);
    decode(decoder, block);
    const second = decode(decoder, block);
    assert.equal(decode(decoder, block), second);
    assert.notEqual(decode(decoder, Buffer.from(encodeBlock(["x-a", "1", "x-b", "3"]))), second);
  });

  it("keeps its own copy of the bytes", () => {
    const decoder = new HpackDecoder(LIMITS);
    const bytes = Buffer.from(block);
    for (let i = 0; i < 3; i++) decode(decoder, bytes);
    bytes[bytes.length - 1] = "9".charCodeAt(0);
    assert.notDeepEqual(decode(decoder, bytes).fields, decode(decoder, block).fields);
  });

  it("forgets everything when the table changes: the same bytes then mean something else", () => {
    const decoder = new HpackDecoder(LIMITS);
    const newest = Buffer.from("be", "hex");
    decode(decoder, Buffer.from("4001610162", "hex"));
    for (let i = 0; i < 4; i++) assert.deepEqual(decode(decoder, newest).fields, ["a", "b"]);
    decode(decoder, Buffer.from("4001630164", "hex"));
    for (let i = 0; i < 4; i++) assert.deepEqual(decode(decoder, newest).fields, ["c", "d"]);
    assert.throws(() => decode(decoder, Buffer.from("20be", "hex")), compressionError);
  });

  it("never remembers a block that changes the table: the second time it would not", () => {
    const decoder = new HpackDecoder(LIMITS);
    const insert = Buffer.from("4001610162", "hex");
    for (let i = 0; i < 5; i++) decode(decoder, insert);
    assert.deepEqual(decode(decoder, Buffer.from("c2", "hex")).fields, ["a", "b"]);
  });

  it("stays within its bytes whatever is sent, and takes nothing in that comes once", () => {
    const decoder = new HpackDecoder({ ...LIMITS, maxMemoBytes: 10_000 });
    for (let i = 0; i < 2_000; i++) decode(decoder, Buffer.from(encodeBlock(["x", `${i}`])));
    assert.equal(decoder.memoBytes, 0);
    const other = new HpackDecoder({ ...LIMITS, maxMemoBytes: 10_000 });
    for (let i = 0; i < 200; i++) {
      const long = Buffer.from(encodeBlock(["x", "y".repeat((i % 60) * 10), "z", `${i}`]));
      for (let again = 0; again < 3; again++) decode(other, long);
      assert.ok(other.memoBytes <= 10_000);
    }
    assert.ok(other.memoBytes > 5_000);
  });

  it("finds its way back to remembering after many blocks that differ", () => {
    const decoder = new HpackDecoder(LIMITS);
    for (let i = 0; i < 2_000; i++) decode(decoder, Buffer.from(encodeBlock(["x", `${i}`])));
    for (let i = 0; i < 64; i++) decode(decoder, block);
    assert.equal(decode(decoder, block), decode(decoder, block));
  });

  it("remembers nothing where it may not", () => {
    const decoder = new HpackDecoder({ ...LIMITS, maxMemoBytes: 0 });
    for (let i = 0; i < 5; i++) decode(decoder, block);
    assert.equal(decoder.memoBytes, 0);
  });
});

describe("the encoder", () => {
  const name = fc
    .stringMatching(/^[a-z][a-z0-9-]{0,20}$/)
    .filter((text) => !["te", "host", "connection"].includes(text));
  const value = fc.stringMatching(/^[!-~]{0,60}$/);
  const fields = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat());

  it("says what its peer decodes, with heads in the table and without", () => {
    const run = fc.record({
      head: fc.nat(3),
      rest: fc.option(fields, { nil: undefined }),
      table: fc.option(fc.nat(5_000)),
    });
    fc.assert(
      fc.property(fc.array(fields, { minLength: 4, maxLength: 4 }), fc.array(run, { maxLength: 30 }), (heads, runs) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(LIMITS);
        for (const { head, rest, table } of runs) {
          if (table !== null) encoder.limitTable(table);
          const block = Buffer.from(encoder.encode(heads[head] as Fields, rest));
          assert.deepEqual(allOf(decoder, block), [...(heads[head] as Fields), ...(rest ?? [])]);
        }
      }),
    );
  });

  it("sends a head it has sent before in a byte a field", () => {
    const encoder = new HpackEncoder();
    const head = [":method", "POST", ":path", "/a.v1.A/Get", ":authority", "a:1", "content-type", "application/grpc"];
    assert.ok(encoder.encode(head, undefined).length > 20);
    assert.equal(encoder.encode(head, undefined).length, 4);
    assert.equal(encoder.encode([...head], undefined).length, 4);
  });

  it("never puts secrets into a table, nor what others marked so", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(LIMITS);
    const secret = ["authorization", "Bearer x", "cookie", "a=b", "x-marked", "1"];
    for (const [head, rest] of [
      [secret, undefined],
      [[], secret],
      [secret, undefined],
    ] as const) {
      const block = Buffer.from(encoder.encode(head, rest, ["x-marked"]));
      assert.deepEqual(decoder.decode(block, 0, block.length).sensitive, ["authorization", "cookie", "x-marked"]);
    }
  });

  it("refuses what no message may have, and goes on after that", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(LIMITS);
    for (const bad of [
      ["X-Upper", "1"],
      ["a b", "1"],
      ["", "1"],
      [":unknown", "1"],
      ["transfer-encoding", "chunked"],
      ["connection", "close"],
      ["x", "a\r\nb"],
      ["x", "\0"],
      ["x", "\x7f"],
      ["x", "\u20ac"],
      ["x", `${"y".repeat(60)}\n`],
    ]) {
      assert.throws(() => encodeBlock(bad), TypeError);
      assert.throws(() => encoder.encode(["x-new", "1", ...bad], undefined), TypeError);
      assert.throws(() => encoder.encode(["x-new", "2"], bad), TypeError);
    }
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(allOf(decoder, encoder.encode(["x-new", "1"], ["y", "2"])), ["x-new", "1", "y", "2"]);
    }
  });

  it("sends a value without the white space around it", () => {
    assert.deepEqual(allOf(new HpackDecoder(LIMITS), encodeBlock(["x", " \ta b\t ", "y", " "])), ["x", "a b", "y", ""]);
  });

  it("fills a table and never beyond it", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(LIMITS);
    for (let i = 0; i < 300; i++) {
      const head = [":path", `/service/method-${i}`];
      assert.deepEqual(allOf(decoder, encoder.encode(head, undefined)), head);
    }
    assert.equal(encoder.encode([":path", "/service/method-0"], undefined).length, 2);
  });
});

describe("the dynamic table", () => {
  it("is empty after an entry that is larger than itself", () => {
    const table = new DynamicTable(100);
    table.add({ name: "a", value: "b", kind: 0 });
    table.add({ name: "a", value: "b".repeat(100), kind: 0 });
    assert.equal(table.length, 0);
    assert.equal(table.bytes, 0);
    assert.equal(table.at(0), undefined);
  });

  it("has its newest entries in order, however many came", () => {
    const table = new DynamicTable(34 * 20);
    for (let i = 0; i < 1_000; i++) table.add({ name: "n", value: String(i % 10), kind: 0 });
    assert.equal(table.length, 20);
    for (let age = 0; age < 20; age++) assert.equal(table.at(age)?.value, String((999 - age) % 10));
    assert.equal(table.at(20), undefined);
  });
});
