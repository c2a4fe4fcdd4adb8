import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { create, createFileRegistry, type DescService, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Health } from "@switchboard/gen/health/v1/health_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { pino } from "pino";
import { ContractFault, resolvePolicies } from "./policies.ts";
import { startServer } from "./server.ts";

/** The platform's contract as a stranger's process would have it, with the options of two methods gone. */
function withoutOptions(...methods: readonly string[]): DescService {
  const set = fromBinary(
    FileDescriptorSetSchema,
    readFileSync(new URL("../../../../gen/switchboard.binpb", import.meta.url)),
  );
  for (const service of set.file.flatMap((file) => file.service)) {
    for (const method of service.method) if (methods.includes(method.name)) method.options = undefined;
  }
  const service = createFileRegistry(set).getService(IdentityService.typeName);
  assert.ok(service);
  return service;
}

/** Where the .proto really has the method. */
function lineOf(method: string): number {
  const text = readFileSync(
    new URL("../../../../proto/switchboard/identity/v1/identity_service.proto", import.meta.url),
    "utf8",
  );
  return text.split("\n").findIndex((line) => line.includes(`rpc ${method}(`)) + 1;
}

describe("a method without a policy", () => {
  test("is a fault that names its file and line, with all others", () => {
    const descriptor = withoutOptions("GetUser", "DisableUser");
    assert.throws(
      () => resolvePolicies([{ descriptor }]),
      (fault) => {
        assert.ok(fault instanceof ContractFault);
        const [first, second, ...more] = fault.message.split("\n");
        const file = "switchboard/identity/v1/identity_service.proto";
        assert.match(
          first ?? "",
          new RegExp(`^${file}:${lineOf("GetUser")}: .*IdentityService/GetUser: has no policy`),
        );
        assert.ok(second?.startsWith(`${file}:${lineOf("DisableUser")}: `));
        assert.deepEqual(more, []);
        return true;
      },
    );
  });

  test("stops the start of a server", async () => {
    const rpcs = [{ descriptor: withoutOptions("GetUser"), register: () => undefined }];
    const start = startServer({ rpcs, host: "127.0.0.1", port: 0, log: pino({ level: "silent" }) });
    await assert.rejects(start, ContractFault);
  });

  test("is named by its file alone where no descriptor set knows it", () => {
    const file = create(FileDescriptorProtoSchema, {
      name: "acme/v1/acme.proto",
      package: "acme.v1",
      messageType: [{ name: "Empty" }],
      service: [{ name: "Acme", method: [{ name: "Do", inputType: ".acme.v1.Empty", outputType: ".acme.v1.Empty" }] }],
    });
    const descriptor = createFileRegistry(file, () => undefined).getService("acme.v1.Acme");
    assert.ok(descriptor);
    assert.throws(
      () => resolvePolicies([{ descriptor }], ["/nowhere.binpb"]),
      /^ContractFault: acme\/v1\/acme\.proto: /,
    );
  });
});

test("health and reflection are served to whoever reaches the port", () => {
  const policies = resolvePolicies([]);
  const check = policies.get(Health.method.check);
  assert.equal(check?.access, "public");
  assert.equal(check?.withoutServiceToken, true);
});
