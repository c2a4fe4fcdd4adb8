/** More than one of a service: both are used, a new one at once, and one that dies or drains takes no call with it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { GatewayService } from "@switchboard/gen/switchboard/gateway/v1/gateway_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { startTestPlatform } from "@switchboard/testkit/platform";
import { adminToken, clientOf, outcomeOf, type Protocol, signUp } from "./client.ts";

/** Reads until it is stopped; what came out, by outcome. */
function readingLoad(url: string, token: string, protocol: Protocol) {
  const outcomes = new Map<string, number>();
  let going = true;
  const identity = clientOf(IdentityService, url, { token, protocol });
  const workers = Array.from({ length: 4 }, async () => {
    while (going) {
      const outcome = await outcomeOf(identity.getUser({ userId: "me" }));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  });
  const stop = async () => {
    going = false;
    await Promise.all(workers);
    return Object.fromEntries(outcomes);
  };
  return {
    answered: () => outcomes.get("ok") ?? 0,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

test("two instances share the calls; a killed one and a draining one fail no read", async () => {
  await using platform = await startTestPlatform();
  const { url } = platform;
  const { token } = await signUp(url, "Ada");
  const gateway = clientOf(GatewayService, url, { token: await adminToken(url) });
  const identities = async () =>
    (await gateway.listInstances({})).instances.filter(({ service }) => service === "identity");

  const second = await platform.oneMore("identity");
  await eventually(async () => assert.equal((await identities()).length, 2), { withinMs: 1_000 });

  await using load = readingLoad(url, token, "connect");
  await using grpcLoad = readingLoad(url, token, "grpc");
  await eventually(async () => {
    const busy = await identities();
    assert.ok(
      busy.every(({ inFlight }) => inFlight > 0),
      "both have calls under way",
    );
  });

  const { identity: pid = 0 } = await platform.processes();
  const before = load.answered();
  process.kill(pid, "SIGKILL");
  await eventually(() => assert.ok(load.answered() > before + 100), { withinMs: 20_000 });
  await eventually(async () => assert.equal((await identities()).length, 2), { withinMs: 20_000 });

  const draining = load.answered();
  second.kill("SIGTERM");
  await once(second, "exit");
  await eventually(() => assert.ok(load.answered() > draining + 100), { withinMs: 20_000 });

  for (const outcomes of [await load.stop(), await grpcLoad.stop()]) {
    assert.deepEqual(Object.keys(outcomes), ["ok"], JSON.stringify(outcomes));
  }
});
