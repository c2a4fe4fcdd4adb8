/** Limits that more than one call at a time meets: of a connection, and of all gateways together. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { test } from "node:test";
import { openPostgresState } from "@switchboard/kernel/state/postgres";
import { testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { refused } from "@switchboard/testkit/refused";
import { gatewayUnderTest } from "./gateway-under-test.ts";
import { ProbeService, silent } from "./probe-service.ts";
import { PROTOCOLS } from "./transports.ts";

const bounded = { timeout: 30_000 };

test("two gateways count against one limit, to the last call", bounded, async () => {
  await using database = await testDatabase();
  const url = database.url("gateway");
  await using firstState = openPostgresState({ url, log: silent });
  await using secondState = openPostgresState({ url, log: silent });
  const counted: string[] = [];
  const limited = () => {
    counted.push("call");
    return {};
  };
  await using first = await gatewayUnderTest({ limited }, { state: firstState });
  await using second = await gatewayUnderTest({ limited }, { state: secondState });
  const gateways = [first, second];
  const outcomes = await Promise.allSettled(
    PROTOCOLS.flatMap((protocol) => gateways.map((each) => each.client(protocol).limited({}))),
  );
  const passed = outcomes.filter(({ status }) => status === "fulfilled");
  assert.equal(passed.length, 2, "the limit of one, not of each");
  assert.equal(counted.length, 2);
  for (const each of gateways) {
    await refused("RATE_LIMITED", each.client("grpc").limited({}));
    assert.equal(each.gateway.uncountedCalls(), 0);
  }
});

test("one HTTP/2 connection carries so many calls at once, and another one more", bounded, async () => {
  let running = 0;
  const letGo = Promise.withResolvers<void>();
  await using under = await gatewayUnderTest(
    {
      async write() {
        running += 1;
        await letGo.promise;
        running -= 1;
        return {};
      },
    },
    { config: { maxStreamsPerConnection: 2 } },
  );
  const [greedy, modest] = [connect(under.url), connect(under.url)];
  const call = (session: typeof greedy) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${ProbeService.typeName}/Write`,
      "content-type": "application/json",
    });
    stream.end("{}");
    return once(stream, "response").then(
      ([headers]) => headers[":status"],
      ({ message }) => message,
    );
  };
  // Before it can have heard of the limit: those too many are refused, and were provably not begun with.
  const early = [call(greedy), call(greedy), call(greedy)];
  const [settings] = await once(greedy, "remoteSettings");
  assert.equal(settings.maxConcurrentStreams, 2);
  await eventually(() => assert.equal(running, 2));
  const late = call(greedy);
  const elsewhere = call(modest);
  await eventually(() => assert.equal(running, 3));
  letGo.resolve();
  assert.deepEqual([await late, await elsewhere], [200, 200]);
  for (const outcome of await Promise.all(early)) assert.match(String(outcome), /200|REFUSED_STREAM/);
  for (const session of [greedy, modest]) session.destroy();
});
