import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import type { Instance } from "../registry/registry.ts";
import type { Rpc } from "../service.ts";
import { openClients } from "./clients.ts";
import { fromAppError } from "./errors.ts";
import { fakeRegistry } from "./registry.fake.ts";
import { remoteAuthorizer } from "./remote-authorizer.ts";
import { type RpcServer, startServer } from "./server.ts";

const log = pino({ level: "silent" });

test("clients of several services find each their own; a service has one connection", async () => {
  await using identity = await start(identityRpc("a"));
  await using authz = await start({
    descriptor: AuthzService,
    register: (router) =>
      void router.service(AuthzService, { check: ({ subject }) => ({ allowed: subject === "user:1" }) }),
  });
  const registry = fakeRegistry(instanceOf(identity, "identity", "a"), instanceOf(authz, "authz", "b"));
  await using clients = openClients({ registry, log, now: Date.now, random: Math.random });
  assert.equal((await clients.client(IdentityService).getUser({ userId: "1" })).user?.displayName, "a");
  assert.equal((await clients.client(AuthzService).check({ subject: "user:1" })).allowed, true);
  assert.deepEqual(clients.problems(), []);
  registry.set(instanceOf(identity, "identity", "a"));
  assert.deepEqual(clients.problems(), ["no instance of authz is known"]);
});

test("an instance that drains under load fails no call, not even a write", async () => {
  await using a = await start(identityRpc("a"));
  await using b = await start(identityRpc("b"));
  const registry = fakeRegistry(instanceOf(a, "identity", "a"), instanceOf(b, "identity", "b"));
  await using clients = openClients({ registry, log, now: Date.now, random: Math.random });
  const identity = clients.client(IdentityService);
  const names: (string | undefined)[] = [];
  const load = Array.from({ length: 8 }, async () => {
    for (let i = 0; i < 60; i += 1) {
      names.push((await identity.getUser({ userId: "1" })).user?.displayName);
      names.push((await identity.createUser({ displayName: "no request_id" })).user?.displayName);
    }
  });
  await eventually(() => assert.ok(names.includes("a") && names.length > 100));
  // The worst order: the registry still says that it is there.
  await a.drain(5_000);
  registry.set(instanceOf(b, "identity", "b"));
  await Promise.all(load);
  assert.equal(names.length, 960);
  assert.ok(names.slice(-100).every((name) => name === "b"));
});

test("the authorizer's answer is Authz's; without an answer it is AUTHZ_UNAVAILABLE, never yes", async () => {
  const answers: Record<string, () => { allowed: boolean }> = {
    yes: () => ({ allowed: true }),
    no: () => ({ allowed: false }),
    down: () => {
      throw new ConnectError("gone", Code.Unavailable);
    },
    late: () => {
      throw new ConnectError("late", Code.DeadlineExceeded);
    },
    refused: () => {
      throw fromAppError(new AppError("SERVICE_TOKEN_INVALID", "who are you?"));
    },
    malformed: () => {
      throw fromAppError(new AppError("INVALID_FIELD", "object must be type:id"));
    },
    deep: () => {
      throw fromAppError(new AppError("GRAPH_TOO_DEEP", "too deep"));
    },
  };
  const transport = createRouterTransport(({ service }) => {
    service(AuthzService, { check: ({ permission }) => answers[permission]?.() ?? {} });
  });
  const authorizer = remoteAuthorizer(createClient(AuthzService, transport));
  const check = (permission: string) => authorizer.check("user:1", permission, "platform:switchboard");
  assert.equal(await check("yes"), true);
  assert.equal(await check("no"), false);
  assert.equal(await check("silent"), false, "an empty answer is a no");
  for (const [permission, reason] of [
    ["down", "AUTHZ_UNAVAILABLE"],
    ["late", "AUTHZ_UNAVAILABLE"],
    ["refused", "AUTHZ_UNAVAILABLE"],
    ["malformed", "INVALID_FIELD"],
    ["deep", "GRAPH_TOO_DEEP"],
  ] as const) {
    await assert.rejects(check(permission), (error) => error instanceof AppError && error.reason === reason);
  }
});

function identityRpc(name: string): Rpc {
  const answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { user: { displayName: name } };
  };
  return {
    descriptor: IdentityService,
    register: (router) => void router.service(IdentityService, { getUser: answer, createUser: answer }),
  };
}

function start(service: Rpc): Promise<RpcServer> {
  return startServer({ host: "127.0.0.1", port: 0, rpcs: [service], log });
}

function instanceOf({ address }: RpcServer, service: string, instanceId: string): Instance {
  return {
    service,
    instanceId,
    address,
    version: "1",
    contractHash: "",
    rpcServices: [IdentityService.typeName, AuthzService.typeName],
    metadata: {},
    registerTime: 0,
  };
}
