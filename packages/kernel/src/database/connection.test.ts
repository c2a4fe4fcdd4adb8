import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { Connection } from "./connection.ts";

test("one that is lost stays lost: what waits behind the statement that failed opens no other", async () => {
  let attempts = 0;
  const server = createServer((socket) => {
    attempts += 1;
    socket.resetAndDestroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const connection = new Connection({
    url: `postgres://somebody:secret@127.0.0.1:${port}/db`,
    applicationName: "test",
  });
  const statements = await Promise.allSettled([connection.listen("c", () => {}), connection.query("select 1")]);
  assert.deepEqual(
    statements.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.equal(attempts, 1);
  assert.ok(connection.lost.aborted);
  await connection[Symbol.asyncDispose]();
  server.close();
});
