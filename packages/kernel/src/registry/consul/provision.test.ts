import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, test } from "node:test";
import { startConsul } from "@switchboard/engines/consul";
import { findConsul } from "@switchboard/engines/consul-program";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { eventually } from "@switchboard/testkit/eventually";
import { ConsulRefusal } from "./client.ts";
import { ConsulPackageConflict, type ConsulServiceEntry, provisionConsul } from "./provision.ts";

const home = engineHome(process.env);
const skip = skipWithout("Consul", (await findConsul(home)) !== undefined, process.env);

async function openConsul() {
  const managementToken: string = randomUUID();
  const server = await startConsul({ home, acl: { managementToken } });
  const { url } = server;
  const call = async (method: string, path: string, token = managementToken, body?: unknown) => {
    const response = await fetch(`${url}/v1/${path}`, {
      method,
      headers: { "x-consul-token": token },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  };
  return {
    url,
    managementToken,
    call,
    provision: (services: readonly ConsulServiceEntry[]) => provisionConsul({ url, managementToken, services }),
    owners: async () => JSON.parse((await call("GET", "kv/switchboard/package-owners?raw")).text),
    /** The names, but for Consul's own. */
    list: async (what: "policies" | "tokens") => {
      const all = JSON.parse((await call("GET", `acl/${what}`)).text) as { Name?: string; Description: string }[];
      const names = all.map(({ Name, Description }) => Name ?? Description);
      return names.filter((name) => /switchboard/i.test(name)).sort();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function entry(name: string, packages: readonly string[], token: string = randomUUID()): ConsulServiceEntry {
  return { name, packages, token };
}

describe("provisioning Consul", { skip }, () => {
  test("a service's token may register that service and read the registry, and nothing else", async () => {
    await using consul = await openConsul();
    const identity = entry("identity", ["switchboard.identity.v1"]);
    await consul.provision([identity, entry("auth", ["switchboard.auth.v1"])]);
    const as = (method: string, path: string, body?: unknown) => consul.call(method, path, identity.token, body);
    assert.equal((await as("PUT", "agent/service/register", { Name: "identity", ID: "identity:a" })).status, 200);
    assert.equal((await as("GET", "kv/switchboard/package-owners")).status, 200);
    await eventually(async () => {
      assert.match((await as("GET", "health/service/identity")).text, /identity:a/);
    });
    const refused = [
      await as("PUT", "agent/service/register", { Name: "auth", ID: "auth:a" }),
      await as("PUT", "agent/service/register", { Name: "identity-more", ID: "identity:b" }),
      await as("PUT", "kv/switchboard/package-owners", { "switchboard.auth.v1": "identity" }),
      await as("DELETE", "kv/switchboard/package-owners"),
      await as("GET", "kv/switchboard/other"),
      await as("PUT", "catalog/register", {
        Node: "switchboard",
        Address: "127.0.0.1",
        Service: { Service: "identity" },
      }),
      await as("GET", "acl/tokens"),
      await as("PUT", "acl/token", { Policies: [{ Name: "switchboard-auth" }] }),
      await as("PUT", "agent/leave"),
    ];
    assert.deepEqual(
      refused.map(({ status }) => status),
      refused.map(() => 403),
    );
  });

  test("repeating it is harmless, two at once too", async () => {
    await using consul = await openConsul();
    const services = [entry("identity", ["switchboard.identity.v1"]), entry("auth", ["switchboard.auth.v1"])];
    await Promise.all([consul.provision(services), consul.provision(services)]);
    await consul.provision(services);
    assert.deepEqual(await consul.owners(), { "switchboard.auth.v1": "auth", "switchboard.identity.v1": "identity" });
    assert.deepEqual(await consul.list("policies"), ["switchboard-auth", "switchboard-identity"]);
    assert.deepEqual(await consul.list("tokens"), ["auth of Switchboard", "identity of Switchboard"]);
    for (const { token } of services) assert.equal((await consul.call("GET", "acl/token/self", token)).status, 200);
  });

  test("two runs at once for different services keep each other's", async () => {
    await using consul = await openConsul();
    const names = ["a", "b", "c", "d", "e"];
    await Promise.all(names.map((name) => consul.provision([entry(name, [`${name}.v1`])])));
    assert.deepEqual(Object.values(await consul.owners()).sort(), names);
  });

  test("a new secret replaces the old one", async () => {
    await using consul = await openConsul();
    const before = entry("identity", []);
    const after = entry("identity", []);
    await consul.provision([before]);
    await consul.provision([after]);
    assert.equal((await consul.call("GET", "acl/token/self", after.token)).status, 200);
    await eventually(async () => assert.equal((await consul.call("GET", "acl/token/self", before.token)).status, 403));
    assert.deepEqual(await consul.list("tokens"), ["identity of Switchboard"]);
  });

  test("what somebody changed by hand is corrected", async () => {
    await using consul = await openConsul();
    const identity = entry("identity", []);
    await consul.provision([identity]);
    const [policy] = (
      JSON.parse((await consul.call("GET", "acl/policies")).text) as { ID: string; Name: string }[]
    ).filter(({ Name }) => Name === "switchboard-identity");
    const path = `acl/policy/${policy?.ID}`;
    await consul.call("PUT", path, undefined, { ID: policy?.ID, Name: policy?.Name, Rules: 'operator = "write"' });
    await consul.provision([identity]);
    const rules = (await consul.call("GET", path)).text;
    assert.match(rules, /service \\"identity\\"/);
    assert.doesNotMatch(rules, /operator/);
  });

  test("a package belongs to one service, and moves only where both are named", async () => {
    await using consul = await openConsul();
    const identity = entry("identity", ["people.v1", "switchboard.identity.v1"]);
    await consul.provision([identity]);
    const people = entry("people", ["people.v1"]);
    await assert.rejects(consul.provision([people]), (error) => {
      assert.ok(error instanceof ConsulPackageConflict);
      assert.match(error.message, /people\.v1 belongs to identity/);
      return true;
    });
    assert.deepEqual(await consul.owners(), { "people.v1": "identity", "switchboard.identity.v1": "identity" });
    await consul.provision([people, { ...identity, packages: ["switchboard.identity.v1"] }]);
    assert.deepEqual(await consul.owners(), { "people.v1": "people", "switchboard.identity.v1": "identity" });
  });

  test("without the right to it nothing is changed", async () => {
    await using consul = await openConsul();
    const provision = provisionConsul({
      url: consul.url,
      managementToken: randomUUID(),
      services: [entry("identity", ["switchboard.identity.v1"])],
    });
    await assert.rejects(provision, ConsulRefusal);
    assert.deepEqual(await consul.list("policies"), []);
  });

  test("where there is no access control, packages have owners all the same", async () => {
    await using server = await startConsul({ home });
    const services = [entry("identity", ["switchboard.identity.v1"])];
    await provisionConsul({ url: server.url, managementToken: undefined, services });
    const response = await fetch(`${server.url}/v1/kv/switchboard/package-owners?raw`);
    assert.deepEqual(await response.json(), { "switchboard.identity.v1": "identity" });
  });
});
