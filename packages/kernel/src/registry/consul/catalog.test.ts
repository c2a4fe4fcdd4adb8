import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ConsulCatalog } from "./catalog.ts";
import { ConsulClient, ConsulRefusal } from "./client.ts";
import { toDefinition } from "./service-entry.ts";

const NODE = { Node: "n", CheckID: "serfHealth", Status: "passing", Notes: "", ServiceName: "" };

/** Consul's answers as the test says, in its words. */
async function scripted(answers: { state: () => unknown; service: (name: string) => unknown }) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "", "http://localhost").pathname;
    asked.push(path);
    const service = /^\/v1\/health\/service\/(.+)$/.exec(path)?.[1];
    const body = service === undefined ? answers.state() : answers.service(service);
    response.setHeader("content-type", "application/json").setHeader("x-consul-index", "1").end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new ConsulClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const catalog = new ConsulCatalog(client);
  return {
    asked,
    ids: async () =>
      (await catalog.read(new AbortController().signal)).map(
        ({ instance }) => `${instance.service} ${instance.instanceId}`,
      ),
    async [Symbol.asyncDispose]() {
      client.close();
      server.close();
      await once(server, "close");
    },
  };
}

function entry(service: string, instanceId: string, status: string) {
  const definition = toDefinition(
    { service, instanceId, address: "127.0.0.1:1", version: "1", contractHash: "c", rpcServices: [], metadata: {} },
    10_000,
    0,
  );
  const check = {
    Node: "n",
    CheckID: definition.check.checkid,
    Status: status,
    Notes: definition.check.notes,
    ServiceName: service,
  };
  const { id, name, address, port, meta } = definition;
  return {
    check,
    health: { Service: { ID: id, Service: name, Address: address, Port: port, Meta: meta }, Checks: [NODE, check] },
  };
}

test("an instance that failed and came back between two readings is not lost", async () => {
  let status = "critical";
  await using consul = await scripted({
    state: () => [NODE, entry("identity", "a", "passing").check],
    service: () => [entry("identity", "a", status).health],
  });
  // The lease lapsed after the question about the checks, and was renewed before the next.
  assert.deepEqual(await consul.ids(), []);
  status = "passing";
  assert.deepEqual(await consul.ids(), ["identity a"]);
});

test("only services that changed are read again", async () => {
  let status = "passing";
  await using consul = await scripted({
    state: () => [NODE, entry("identity", "a", "passing").check, entry("auth", "a", status).check],
    service: (name) => [entry(name, "a", name === "auth" ? status : "passing").health],
  });
  assert.deepEqual((await consul.ids()).sort(), ["auth a", "identity a"]);
  consul.asked.length = 0;
  assert.deepEqual((await consul.ids()).sort(), ["auth a", "identity a"]);
  assert.deepEqual(consul.asked, ["/v1/health/state/any"]);
  consul.asked.length = 0;
  status = "warning";
  assert.deepEqual(await consul.ids(), ["identity a"]);
  assert.deepEqual(consul.asked, ["/v1/health/state/any", "/v1/health/service/auth"]);
});

test("an instance on a node that is gone is not healthy, although nobody took back its own check", async () => {
  let status = "passing";
  const withNode = () => {
    const { check, health } = entry("identity", "a", "passing");
    return { check, health: { ...health, Checks: [{ ...NODE, Status: status }, check] } };
  };
  await using consul = await scripted({
    state: () => [{ ...NODE, Status: status }, withNode().check],
    service: () => [withNode().health],
  });
  assert.deepEqual(await consul.ids(), ["identity a"]);
  status = "critical";
  assert.deepEqual(await consul.ids(), []);
});

test("an answer without any node is what a token sees that may read nothing: no empty list", async () => {
  await using consul = await scripted({ state: () => [], service: () => [] });
  await assert.rejects(consul.ids(), ConsulRefusal);
});

test("services of others and instances that cannot be understood are left out", async () => {
  const good = entry("identity", "good", "passing");
  const bad = entry("identity", "bad", "passing");
  const stolen = entry("identity", "stolen", "passing");
  await using consul = await scripted({
    state: () => [NODE, good.check],
    service: () => [
      good.health,
      { ...bad.health, Service: { ...bad.health.Service, Meta: { "registration-00": "{" } } },
      { ...bad.health, Service: { ...bad.health.Service, Meta: null } },
      { ...stolen.health, Service: { ...stolen.health.Service, ID: "identity:other" } },
    ],
  });
  assert.deepEqual(await consul.ids(), ["identity good"]);
});
