/** Contracts of others: their methods are routed, and reflected, where an overlay has a policy for them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { refused } from "@switchboard/testkit/refused";
import { parsePolicyOverlay } from "../src/policy-overlay.ts";
import { gatewayUnderTest } from "./gateway-under-test.ts";
import { ProbeService } from "./probe-service.ts";
import { PROTOCOLS } from "./transports.ts";

test("a method without a policy is called with the overlay's; the others keep theirs", async () => {
  const policyOverlay = parsePolicyOverlay(
    JSON.stringify({ [ProbeService.typeName]: { access: "ACCESS_PUBLIC", maxRequestBytes: 1_000 } }),
  );
  await using under = await gatewayUnderTest({ loose: ({ text }) => ({ text }) }, { policyOverlay });
  for (const protocol of PROTOCOLS) {
    const client = under.client(protocol);
    assert.equal((await client.loose({ text: "x" })).text, "x");
    await refused("REQUEST_TOO_LARGE", client.loose({ text: "x".repeat(2_000) }));
    await refused("UNKNOWN_METHOD", client.inside({ text: "x" }));
    await refused("CREDENTIAL_MISSING", client.private({ text: "x" }));
  }
});

test("bare errors have a code and a status, and nothing of Switchboard's", async () => {
  await using under = await gatewayUnderTest({}, { bareErrors: true });
  const post = async (path: string, contentType: string) => {
    const answer = await fetch(`${under.url}${path}`, { method: "POST", headers: { "content-type": contentType } });
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await post("/acme.v1.Nothing/Do", "application/json"), [
    404,
    '{"code":"unimplemented","message":"no method can be called at /acme.v1.Nothing/Do"}',
  ]);
  assert.deepEqual(await post(`/${ProbeService.typeName}/Read`, "text/xml"), [415, ""]);
});
