import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kindOfName } from "./field-kind.ts";
import { HeaderList } from "./header-list.ts";

function list(...fields: string[]): HeaderList {
  const headers = new HeaderList();
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    headers.add(name, fields[i + 1] as string, kindOfName(name), 16_384);
  }
  return headers;
}

const REQUEST = [":method", "GET", ":scheme", "http", ":authority", "a:1", ":path", "/"];

describe("a request", () => {
  const accepted: Record<string, string[]> = {
    plain: REQUEST,
    "without an authority": [":method", "GET", ":scheme", "http", ":path", "/"],
    "with te: trailers": [...REQUEST, "te", "trailers"],
    "with the same host": [...REQUEST, "host", "a:1"],
    "OPTIONS *": [":method", "OPTIONS", ":scheme", "http", ":path", "*"],
    CONNECT: [":method", "CONNECT", ":authority", "a:1"],
    "with a length": [...REQUEST, "content-length", "0"],
  };
  for (const [name, fields] of Object.entries(accepted)) {
    it(`is ${name}`, () => assert.equal(list(...fields).requestFault(), undefined));
  }

  const refused: Record<string, string[]> = {
    empty: [],
    "without a method": REQUEST.slice(2),
    "without a scheme": [":method", "GET", ":path", "/"],
    "without a path": REQUEST.slice(0, 6),
    "with an empty path": [...REQUEST.slice(0, 6), ":path", ""],
    "with a relative path": [...REQUEST.slice(0, 6), ":path", "a"],
    "GET *": [...REQUEST.slice(0, 6), ":path", "*"],
    "with two paths": [...REQUEST, ":path", "/"],
    "with a status": [...REQUEST, ":status", "200"],
    "with an unknown pseudo-header field": [...REQUEST, ":other", "1"],
    "with a pseudo-header field behind a regular one": [...REQUEST.slice(0, 6), "a", "b", ":path", "/"],
    "with upper case": [...REQUEST, "X-Upper", "1"],
    "with a space in a name": [...REQUEST, "a b", "1"],
    "with an empty name": [...REQUEST, "", "1"],
    "with connection": [...REQUEST, "connection", "close"],
    "with keep-alive": [...REQUEST, "keep-alive", "1"],
    "with proxy-connection": [...REQUEST, "proxy-connection", "close"],
    "with transfer-encoding": [...REQUEST, "transfer-encoding", "chunked"],
    "with upgrade": [...REQUEST, "upgrade", "h2c"],
    "with te: gzip": [...REQUEST, "te", "gzip"],
    "with another host": [...REQUEST, "host", "b"],
    "with two hosts": [...REQUEST, "host", "a:1", "host", "a:1"],
    "with user information": [":method", "GET", ":scheme", "http", ":authority", "me@a", ":path", "/"],
    "with two lengths": [...REQUEST, "content-length", "1", "content-length", "1"],
    "with a length that is none": [...REQUEST, "content-length", "+1"],
    "CONNECT with a path": [":method", "CONNECT", ":authority", "a", ":path", "/"],
    "CONNECT without an authority": [":method", "CONNECT"],
  };
  for (const [name, fields] of Object.entries(refused)) {
    it(`is not one ${name}`, () => assert.equal(typeof list(...fields).requestFault(), "string"));
  }
});

describe("a response", () => {
  it("has one status of three digits", () => {
    assert.equal(list(":status", "200").responseFault(), undefined);
    assert.equal(list(":status", "103", "link", "x").responseFault(), undefined);
    for (const fields of [[], [":status", "20"], [":status", "2000"], [":status", "abc"], [":status", "101"]]) {
      assert.equal(typeof list(...fields).responseFault(), "string", fields.join());
    }
    assert.equal(typeof list(":status", "200", ":status", "200").responseFault(), "string");
    assert.equal(typeof list(":status", "200", ":path", "/").responseFault(), "string");
    assert.equal(typeof list(":status", "200", "connection", "close").responseFault(), "string");
  });
});

describe("trailers", () => {
  it("have no pseudo-header fields", () => {
    assert.equal(list("grpc-status", "0").trailersFault(), undefined);
    assert.equal(list().trailersFault(), undefined);
    assert.equal(typeof list(":status", "200").trailersFault(), "string");
    assert.equal(typeof list("X", "1").trailersFault(), "string");
  });
});

it("values of a name that comes more than once are joined, cookies in their own way", () => {
  const headers = list("a", "1", "cookie", "x=1", "a", "2", "cookie", "y=2");
  assert.equal(headers.get("a"), "1, 2");
  assert.equal(headers.get("cookie"), "x=1; y=2");
  assert.equal(headers.get("b"), undefined);
});
