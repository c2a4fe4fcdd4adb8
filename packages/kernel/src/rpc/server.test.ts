import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { resolvePolicy } from "@switchboard/contract/policy";
import { ServerReflection } from "@switchboard/gen/grpc/reflection/v1/reflection_pb";
import { ServerReflection as ServerReflectionAlpha } from "@switchboard/gen/grpc/reflection/v1alpha/reflection_pb";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@switchboard/gen/health/v1/health_pb";
import { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { callOf } from "./call.ts";
import { contractHash } from "./contract-hash.ts";
import { reasonOf } from "./errors.ts";
import { protocols, serverUnderTest } from "./test/server-under-test.ts";

const run = promisify(execFile);

const whoami = {
  identity: {
    getUser: ({ userId }: { userId: string }, context: Parameters<typeof callOf>[0]) => ({
      user: { userId, displayName: callOf(context).actor },
    }),
  },
  audit: {
    async *watchEvents() {
      for (const eventId of ["1", "2", "3"]) yield { event: { eventId } };
    },
  },
};

describe("unary calls and streams are answered", () => {
  for (const protocol of protocols) {
    test(`over ${protocol}`, async () => {
      await using under = await serverUnderTest(whoami);
      const headers = await under.fromOutside("ada");
      const { user } = await under.client(IdentityService, protocol, headers).getUser({ userId: "me" });
      assert.equal(user?.userId, "ada");
      assert.equal(user?.displayName, "user:ada");
      const events = await Array.fromAsync(under.client(AuditService, protocol, headers).watchEvents({}));
      assert.deepEqual(
        events.map(({ event }) => event?.eventId),
        ["1", "2", "3"],
      );
    });
  }
});

test("with TLS both versions of HTTP are spoken on the port", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "switchboard-tls-"));
  t.after(() => rm(folder, { recursive: true }));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes"];
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", keyFile, "-out", certFile];
  try {
    await run("openssl", ["req", "-x509", ...newKey, ...subject]);
  } catch {
    return t.skip("there is no openssl to make a certificate with");
  }
  const tls = { cert: await readFile(certFile, "utf8"), key: await readFile(keyFile, "utf8") };
  await using under = await serverUnderTest(whoami, { tls });
  for (const protocol of protocols) {
    const client = under.client(IdentityService, protocol, await under.fromOutside("ada"));
    assert.equal((await client.getUser({ userId: "me" })).user?.userId, "ada", protocol);
  }
  await assert.rejects(fetch(under.url.replace("https", "http")), "plain HTTP is not answered");
});

describe("health, without any credential,", () => {
  test("tells the process and each service apart, and follows them", async () => {
    let lacking: string | undefined;
    await using under = await serverUnderTest({}, { serving: (service) => service !== lacking });
    const health = under.client(Health, "grpc");
    const service = IdentityService.typeName;
    assert.equal((await health.check({})).status, Status.SERVING);
    assert.equal((await health.check({ service })).status, Status.SERVING);
    await assert.rejects(health.check({ service: "acme.v1.Nothing" }), (error) => reasonOf(error) === "NOT_FOUND");
    const watched = health.watch({ service })[Symbol.asyncIterator]();
    assert.equal((await watched.next()).value?.status, Status.SERVING);
    lacking = service;
    assert.equal((await watched.next()).value?.status, Status.NOT_SERVING);
    assert.equal((await health.check({ service })).status, Status.NOT_SERVING);
    assert.equal((await health.check({})).status, Status.SERVING);
    await watched.return?.();
    const { statuses } = await health.list({});
    assert.deepEqual(Object.keys(statuses).sort(), [
      "",
      "switchboard.audit.v1.AuditService",
      "switchboard.auth.v1.AuthService",
      "switchboard.identity.v1.IdentityService",
    ]);
  });
});

describe("reflection, without any credential,", () => {
  for (const [version, service] of [
    ["v1", ServerReflection],
    ["v1alpha", ServerReflectionAlpha],
  ] as const) {
    test(`gives ${version} all that is needed to read the policies`, async () => {
      await using under = await serverUnderTest();
      const ask = async (messageRequest: { case: "listServices" | "fileContainingSymbol"; value: string }) => {
        const requests = async function* () {
          yield { messageRequest };
        };
        const client = under.client(service as typeof ServerReflection, "grpc");
        for await (const { messageResponse } of client.serverReflectionInfo(requests())) return messageResponse;
        return assert.fail("no answer");
      };
      const listed = await ask({ case: "listServices", value: "*" });
      assert.ok(listed.case === "listServicesResponse");
      const names = listed.value.service.map(({ name }) => name);
      assert.ok(names.includes(IdentityService.typeName) && names.includes(Health.typeName));

      for (const symbol of [
        IdentityService.typeName,
        `${IdentityService.typeName}.GetUser`,
        "google.protobuf.Timestamp",
      ]) {
        const answer = await ask({ case: "fileContainingSymbol", value: symbol });
        assert.ok(answer.case === "fileDescriptorResponse", symbol);
      }
      const answer = await ask({ case: "fileContainingSymbol", value: IdentityService.typeName });
      assert.ok(answer.case === "fileDescriptorResponse");
      const [file, ...others] = answer.value.fileDescriptorProto.map((bytes) =>
        fromBinary(FileDescriptorProtoSchema, bytes),
      );
      assert.ok(file);
      const registry = createFileRegistry(file, (name) => others.find((other) => other.name === name));
      const method = registry.getService(IdentityService.typeName)?.methods.find(({ name }) => name === "GetUser");
      assert.ok(method);
      assert.deepEqual(resolvePolicy(method), resolvePolicy(IdentityService.method.getUser));

      const unknown = await ask({ case: "fileContainingSymbol", value: "acme.v1.Nothing" });
      assert.ok(unknown.case === "errorResponse" && unknown.value.errorCode === 5);
    });
  }

  test("is enough for `buf curl`", async () => {
    await using under = await serverUnderTest(whoami);
    const headers = [...(await under.fromOutside("ada"))].flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    for (const protocol of [
      ["--protocol", "connect"],
      ["--protocol", "grpc", "--http2-prior-knowledge"],
    ]) {
      const url = `${under.url}/switchboard.identity.v1.IdentityService/GetUser`;
      const { stdout } = await run("buf", ["curl", ...protocol, ...headers, "-d", '{"user_id":"me"}', url]);
      assert.deepEqual(JSON.parse(stdout), { user: { userId: "ada", displayName: "user:ada" } });
    }
  });
});

test("a contract's hash is the same for the same files, in any order, and differs for others", () => {
  const identity = { descriptor: IdentityService };
  const audit = { descriptor: AuditService };
  assert.match(contractHash([identity]), /^[0-9a-f]{64}$/);
  assert.equal(contractHash([identity, audit]), contractHash([audit, identity]));
  assert.notEqual(contractHash([identity]), contractHash([identity, audit]));
});
