import assert from "node:assert/strict";
import { test } from "node:test";
import { detectProtocol } from "./protocol.ts";

test("a protocol is told by method, content type and query", () => {
  const cases: [method: string, contentType: string | undefined, query: string, expected: string][] = [
    ["POST", "application/json", "", "connect json"],
    ["POST", "application/json; charset=utf-8", "", "connect json"],
    ["POST", "Application/JSON;charset=UTF8", "", "connect json"],
    ["POST", "application/proto", "", "connect proto"],
    ["POST", "application/connect+json", "", "connect-stream json"],
    ["POST", "application/connect+proto", "", "connect-stream proto"],
    ["POST", "application/grpc", "", "grpc proto"],
    ["POST", "application/grpc+proto", "", "grpc proto"],
    ["POST", "application/grpc+json", "", "grpc json"],
    ["POST", "application/grpc-web", "", "grpc-web proto"],
    ["POST", "application/grpc-web+json", "", "grpc-web json"],
    ["POST", "application/grpc-web-text+proto", "", "grpc-web proto text"],
    ["GET", undefined, "connect=v1&encoding=json&message=%7B%7D", "connect-get json"],
    ["GET", undefined, "encoding=proto&message=", "connect-get proto"],
    ["GET", undefined, "connect=v2&encoding=proto&message=", "unknown "],
    ["GET", undefined, "encoding=proto", "unknown "],
    ["GET", "application/json", "", "unknown "],
    ["PUT", "application/json", "", "unknown "],
    ["POST", undefined, "", "unknown "],
    ["POST", "text/plain", "", "unknown "],
    ["POST", "application/json; charset=latin1", "", "unknown "],
    ["POST", "application/grpc-text", "", "unknown "],
    ["POST", "application/grpcx", "", "unknown "],
    ["POST", "application/xml+json", "", "unknown "],
  ];
  for (const [method, contentType, query, expected] of cases) {
    const { name, codec, text } = detectProtocol(method, contentType, query);
    assert.equal(`${name} ${codec}${text ? " text" : ""}`, expected, `${method} ${contentType} ${query}`);
  }
});

test("answers to the text form have the binary form's content type on the inside", () => {
  assert.equal(detectProtocol("POST", "application/grpc-web-text+proto", "").contentType, "application/grpc-web+proto");
});
