import assert from "node:assert/strict";
import { test } from "node:test";
import { testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import { startTcpProxy } from "../rpc/tcp-proxy.fake.ts";
import { isConnectionFailure } from "./failure.ts";
import { SteadyConnection } from "./steady-connection.ts";

const log = pino({ level: "silent" });

test("a peer that falls silent counts as away after the timeout, then calls fail at once, and it mends by itself", async () => {
  await using database = await testDatabase();
  const url = new URL(database.url("identity"));
  await using network = await startTcpProxy(Number(url.port));
  url.port = String(network.port);
  let returns = 0;
  await using connection = new SteadyConnection({
    url: url.href,
    purpose: "test",
    log,
    timeoutMs: 500,
    onReturn: () => returns++,
  });
  assert.deepEqual([...(await connection.query("select $1::int as n", [7]))], [{ n: 7 }]);

  network.freeze();
  await assert.rejects(connection.query("select 1"), isConnectionFailure);
  assert.equal(connection.problem(), "the test (PostgreSQL) cannot be reached");
  const startTime = performance.now();
  for (let n = 0; n < 100; n++) await assert.rejects(connection.query("select 1"), isConnectionFailure);
  assert.ok(performance.now() - startTime < 200, "calls waited for a peer that is known to be silent");

  network.thaw();
  await eventually(() => assert.equal(connection.problem(), undefined));
  assert.equal(returns, 1);
  assert.deepEqual([...(await connection.query("select $1::int as n", [8]))], [{ n: 8 }]);
});

test("a statement that PostgreSQL refuses is an error, not an outage", async () => {
  await using database = await testDatabase();
  await using connection = new SteadyConnection({
    url: database.url("identity"),
    purpose: "test",
    log,
    timeoutMs: 2_000,
  });
  const results = await Promise.allSettled([connection.query("select 1 / 0"), connection.query("select 1 as one")]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "fulfilled"],
  );
  assert.equal(connection.problem(), undefined);
});

test("it hears its channel again after a return", async () => {
  await using database = await testDatabase();
  const url = new URL(database.url("identity"));
  await using network = await startTcpProxy(Number(url.port));
  url.port = String(network.port);
  let heard = 0;
  let returns = 0;
  await using listener = new SteadyConnection({
    url: url.href,
    purpose: "test",
    log,
    timeoutMs: 2_000,
    listen: { channel: "test", heard: () => heard++ },
    onReturn: () => returns++,
  });
  await using speaker = new SteadyConnection({ url: database.url("auth"), purpose: "test", log, timeoutMs: 2_000 });
  await listener.query("select 1");
  await speaker.query("notify test");
  await eventually(() => assert.equal(heard, 1));
  network.cut();
  await eventually(() => assert.equal(returns, 1));
  await speaker.query("notify test");
  await eventually(() => assert.equal(heard, 2));
});
