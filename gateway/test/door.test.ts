/** The door itself: rate limits, API keys, malformed HTTP, overload, and what the gateway answers on its own. */
import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { AppError } from "@switchboard/contract/app-error";
import { ServerReflection } from "@switchboard/gen/grpc/reflection/v1/reflection_pb";
import { ServerReflection as ServerReflectionAlpha } from "@switchboard/gen/grpc/reflection/v1alpha/reflection_pb";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@switchboard/gen/health/v1/health_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { GatewayService } from "@switchboard/gen/switchboard/gateway/v1/gateway_service_pb";
import { fromAppError } from "@switchboard/kernel/rpc/errors";
import { fetchContract } from "@switchboard/kernel/rpc/remote-contract";
import { startServer } from "@switchboard/kernel/rpc/server";
import { rawHttp1, rawHttp2 } from "@switchboard/kernel/rpc/test/raw-request";
import { rpc } from "@switchboard/kernel/service";
import { eventually } from "@switchboard/testkit/eventually";
import { refused } from "@switchboard/testkit/refused";
import { gatewayUnderTest } from "./gateway-under-test.ts";
import { hanging, ProbeService, silent } from "./probe-service.ts";

const path = (method: string) => `/${ProbeService.typeName}/${method}`;
const json = { "content-type": "application/json" };
const empty = [Buffer.from("{}")];

test("a rate limit counts, tells, and refuses with the time to wait", async () => {
  await using under = await gatewayUnderTest({});
  const call = () => rawHttp1(under.url, { path: path("Limited"), headers: json, body: empty });
  const first = await call();
  assert.equal(first.headers["ratelimit-policy"], '"address";q=2;w=60');
  assert.equal(first.headers.ratelimit, '"address";r=1;t=60');
  await call();
  const third = await call();
  assert.equal(third.status, 429);
  assert.equal(third.headers["retry-after"], "30");
  const error = JSON.parse(third.body.toString());
  assert.equal(error.code, "resource_exhausted");
  assert.deepEqual(
    error.details.map(({ type }: { type: string }) => type),
    ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"],
  );
  await refused("RATE_LIMITED", under.client("grpc").limited({}));
  await refused("RATE_LIMITED", under.client("grpc-web").limited({}));
  await eventually(() => assert.ok(under.records.some(({ reason }) => reason === "RATE_LIMITED")));
  const unlimited = await rawHttp1(under.url, { path: path("Read"), headers: json, body: empty });
  assert.equal(unlimited.headers.ratelimit, undefined);
});

test("calls pass uncounted while the counters are away, and the gateway says so", async () => {
  const state = { take: () => Promise.reject(new AppError("SERVICE_UNAVAILABLE", "away")) };
  await using under = await gatewayUnderTest({}, { state });
  for (let count = 0; count < 5; count++) await under.client().limited({});
  assert.equal(under.gateway.uncountedCalls(), 5);
});

test("one address may only call so often", async () => {
  await using under = await gatewayUnderTest({}, { config: { addressLimit: 2 } });
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => under.client("grpc").read({})));
  const passed = outcomes.filter(({ status }) => status === "fulfilled").length;
  assert.ok(passed >= 1 && passed <= 5, `${passed}`);
});

test("behind a trusted proxy the address is the client's, for limits and for services", async () => {
  const seen: (string | null)[] = [];
  const remember = (_: unknown, { requestHeader }: { requestHeader: Headers }) => {
    seen.push(requestHeader.get("switchboard-client-address"), requestHeader.get("x-forwarded-for"));
    return {};
  };
  await using under = await gatewayUnderTest(
    { limited: remember },
    { config: { trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] } },
  );
  const call = (forwarded: string) =>
    rawHttp1(under.url, { path: path("Limited"), headers: { ...json, "x-forwarded-for": forwarded }, body: empty });
  await call("6.6.6.6, 203.0.113.7, 10.1.2.3");
  assert.deepEqual(seen, ["203.0.113.7", "6.6.6.6, 203.0.113.7, 10.1.2.3, 127.0.0.1"]);
  await call("203.0.113.7");
  assert.equal((await call("203.0.113.7")).status, 429);
  assert.equal((await call("203.0.113.8")).status, 200);
});

test("an API key is exchanged once, acts as its owner, and ends when it is revoked", async () => {
  let exchanges = 0;
  const seen: (string | null)[] = [];
  const remember = (_: unknown, { requestHeader }: { requestHeader: Headers }) => {
    seen.push(requestHeader.get("authorization"));
    return {};
  };
  const tokens = Promise.withResolvers<(name: string) => Promise<string>>();
  await using under = await gatewayUnderTest(
    { private: remember },
    {
      async exchangeApiKey(secret) {
        exchanges += 1;
        if (secret !== "sbk_good") throw fromAppError(new AppError("API_KEY_INVALID", "this API key is not valid"));
        return { accessToken: await (await tokens.promise)("kim"), expireTime: Date.now() + 600_000 };
      },
    },
  );
  tokens.resolve((name) => under.tokens.accessToken(name, { claims: { via: "api_key", sid: "key-1" } }));
  const authorization = "Bearer sbk_good";
  await Promise.all(Array.from({ length: 5 }, () => under.client("grpc", { authorization }).private({})));
  assert.equal(exchanges, 1);
  assert.ok(
    seen.every((header) => header?.startsWith("Bearer ey")),
    "services never see the key",
  );
  await refused("API_KEY_INVALID", under.client("connect", { authorization: "Bearer sbk_bad" }).private({}));
  under.revoked.add("key-1");
  await refused("CREDENTIAL_REVOKED", under.client("grpc", { authorization }).private({}));
  await refused("CREDENTIAL_REVOKED", under.client("grpc", { authorization }).private({}));
  assert.equal(exchanges, 3, "a refused token is asked for again, and not believed from memory");
});

test("requests that two parsers could read differently are refused", async () => {
  await using under = await gatewayUnderTest();
  const probe = await under.probe();
  await under.routed();
  const start = `POST ${path("Write")} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
  const bad = [
    "content-length: 2\r\ncontent-length: 4\r\n\r\n{}xx",
    "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "transfer-encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "transfer-encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "content-length: +2\r\n\r\n{}",
    "x-bad: a\nb: c\r\ncontent-length: 2\r\n\r\n{}",
  ];
  for (const rest of bad) {
    const answer = await exchange(under.port, start + rest);
    assert.match(answer, /^HTTP\/1\.1 400 /, rest);
  }
  assert.ok(!probe.calls.includes("Write"));
  assert.match(await exchange(under.port, "nonsense\r\n\r\n"), /^HTTP\/1\.1 400 /);
  // HTTP/0.9, and HTTP/2 as nobody speaks it: one packet of a stranger must not end the process.
  for (const line of ["GET /", "GET / HTTP/2.0\r\nhost: x", "GET / HTTP/3.0\r\nhost: x"]) {
    assert.match(await exchange(under.port, `${line}\r\n\r\n`), /^HTTP\/1\.1 [45]0[05] /, line);
  }
  assert.equal((await under.client().write({ text: "still here" })).text, "still here");
});

function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, "127.0.0.1", () => socket.write(bytes));
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
      if (!answer.startsWith("HTTP/1.1 400")) socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}

test("a request may name the whole address, and the host in it counts", async () => {
  const hosts: (string | null)[] = [];
  const remember = ({ text }: { text: string }, { requestHeader }: { requestHeader: Headers }) => {
    hosts.push(requestHeader.get("x-forwarded-host"));
    return { text };
  };
  await using under = await gatewayUnderTest({ read: remember });
  const body = '{"text":"x"}';
  for (const target of [`http://api.example:81${path("Read")}`, `HTTPS://api.example:81${path("Read")}?a=b`]) {
    const head = `POST ${target} HTTP/1.1\r\nhost: other\r\nconnection: close\r\ncontent-type: application/json\r\n`;
    const answer = await exchange(under.port, `${head}content-length: ${body.length}\r\n\r\n${body}`);
    assert.match(answer, /^HTTP\/1\.1 200 .*\{"text":"x"\}/s);
  }
  assert.deepEqual(hosts, ["api.example:81", "api.example:81"]);
  const root = await exchange(under.port, "GET http://api.example HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  assert.match(root, /^HTTP\/1\.1 404 .*called at \//s);
});

test("too many calls at once are refused, not queued", async () => {
  const hangs = hanging();
  await using under = await gatewayUnderTest({ write: hangs.handler }, { config: { maxCalls: 1 } });
  const leaving = new AbortController();
  const first = under.client("grpc").write({}, { signal: leaving.signal });
  await hangs.begun;
  await refused("OVERLOADED", under.client("connect").read({}));
  leaving.abort();
  await assert.rejects(first);
  await eventually(async () => void (await under.client("connect").read({})));
});

test("health, for the gateway and for services", async () => {
  await using under = await gatewayUnderTest({});
  const health = under.clientOf(Health);
  assert.equal((await health.check({})).status, Status.SERVING);
  assert.equal((await health.check({ service: ProbeService.typeName })).status, Status.SERVING);
  await refused("NOT_FOUND", health.check({ service: "nothing.v1.NothingService" }));
});

test("reflection knows every service that can be called, and no internal method", async () => {
  await using under = await gatewayUnderTest({});
  const address = new URL(under.url).host;
  const [instance] = under.registry.watchAll().current();
  assert.ok(instance);
  for (const reflection of [ServerReflection, ServerReflectionAlpha]) {
    const client = under.clientOf(reflection);
    const answers = client.serverReflectionInfo(
      (async function* () {
        yield { messageRequest: { case: "listServices", value: "" } as const };
      })(),
    );
    for await (const { messageResponse } of answers) {
      assert.equal(messageResponse.case, "listServicesResponse");
      assert.deepEqual(messageResponse.value.service.map(({ name }) => name).sort(), [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "switchboard.gateway.v1.GatewayService",
        "test.probe.v1.ProbeService",
      ]);
    }
  }
  const through = { ...instance, address };
  const [service] = await fetchContract(through, { log: silent, now: Date.now });
  const names = service?.methods.map(({ name }) => name) ?? [];
  assert.ok(names.includes("Read") && names.includes("Admin"));
  assert.ok(!names.includes("Inside") && !names.includes("Loose"));
  const gateway = { ...through, rpcServices: [GatewayService.typeName] };
  const [own] = await fetchContract(gateway, { log: silent, now: Date.now });
  assert.equal(own?.typeName, GatewayService.typeName);
});

test("the gateway's own service is for administrators, over every protocol", async () => {
  await using under = await gatewayUnderTest({});
  const token = async (name: string) => ({ authorization: `Bearer ${await under.tokens.accessToken(name)}` });
  for (const protocol of ["connect", "connect-json", "connect-h2", "grpc", "grpc-web"] as const) {
    await refused("CREDENTIAL_MISSING", under.clientOf(GatewayService, protocol).listRoutes({}));
    await refused("PERMISSION_DENIED", under.clientOf(GatewayService, protocol, await token("ada")).listRoutes({}));
    const admin = under.clientOf(GatewayService, protocol, await token("admin"));
    const { routes } = await admin.listRoutes({});
    assert.ok(routes.some(({ path: each }) => each === path("Limited")));
    assert.ok(!routes.some(({ path: each }) => each === path("Inside")));
    const { instances } = await admin.listInstances({});
    assert.deepEqual(
      instances.map(({ service, available }) => [service, available]),
      [["probe", true]],
    );
  }
});

test("the keys are also where JWT libraries look for them", async () => {
  await using under = await gatewayUnderTest();
  const key = { kty: "OKP", crv: "Ed25519", x: "x", kid: "k", alg: "EdDSA", use: "sig" };
  const getJwks = (_: unknown, { responseHeader }: { responseHeader: Headers }) => {
    responseHeader.set("cache-control", "public, max-age=300");
    return { keys: [key] };
  };
  const rpcs = [rpc(AuthService, { getJwks } as never)];
  await using auth = await startServer({ rpcs, host: "127.0.0.1", port: 0, log: silent });
  under.registry.set({
    service: "auth",
    instanceId: "auth",
    address: auth.address,
    version: "1",
    contractHash: "h",
    rpcServices: [AuthService.typeName],
    metadata: {},
    registerTime: 0,
  });
  await eventually(async () => {
    const response = await fetch(`${under.url}/.well-known/jwks.json`);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { keys: [key] });
  });
  for (const send of [rawHttp1, rawHttp2]) {
    const asked = await send(under.url, { method: "GET", path: "/.well-known/jwks.json?cache=no" });
    assert.deepEqual(JSON.parse(String(asked.body)), { keys: [key] });
    assert.equal(asked.headers["cache-control"], "public, max-age=300");
    assert.equal(asked.headers.vary, "origin", "a cache must not give scripts what was answered without an origin");
    const head = await send(under.url, { method: "HEAD", path: "/.well-known/jwks.json" });
    assert.deepEqual([head.status, head.body.length], [200, 0]);
    assert.equal(head.headers["content-length"], asked.headers["content-length"]);
  }
  const internal = under.clientOf(AuthService);
  await refused("UNKNOWN_METHOD", internal.exchangeApiKey({ secret: "x" }));
  await refused("UNKNOWN_METHOD", internal.issueServiceToken({}));
});

test("over HTTP/2 a refusal leaves the connection usable", async () => {
  await using under = await gatewayUnderTest({});
  const answer = await rawHttp2(under.url, { path: path("Private"), headers: json, body: empty });
  assert.equal(answer.status, 401);
  const client = under.client("connect-h2");
  await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      if (index % 2) await refused("CREDENTIAL_MISSING", client.private({ text: "x".repeat(10_000) }));
      else assert.equal((await client.read({ text: `${index}` })).text, `${index}`);
    }),
  );
});
