import assert from "node:assert/strict";
import { test } from "node:test";
import { connectionOptions, isHopByHop } from "./hop-by-hop.ts";

test("headers of a connection stay on it", () => {
  for (const name of [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-connection",
  ]) {
    assert.ok(isHopByHop(name, "x"), name);
  }
  assert.ok(isHopByHop("te", "gzip, trailers"));
  assert.ok(!isHopByHop("te", "trailers"));
  assert.ok(!isHopByHop("content-type", "x"));
  assert.deepEqual(connectionOptions("close, X-Secret"), ["close", "x-secret"]);
});
