import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, createFileRegistry, type DescMethod, type MessageInitShape, setExtension } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel as Idempotency,
  FieldDescriptorProto_Label as Label,
  MethodOptionsSchema,
  ServiceOptionsSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { GatewayService } from "@switchboard/gen/switchboard/gateway/v1/gateway_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import {
  Access,
  Audit,
  MethodPolicySchema,
  method as methodOption,
  RateLimitKey,
  ServiceDefaultsSchema,
  service as serviceOption,
} from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import { DEFAULT_MAX_REQUEST_BYTES, DEFAULT_TIMEOUT_MS, PolicyFault, resolvePolicy } from "./policy.ts";

interface Contract {
  readonly policy?: MessageInitShape<typeof MethodPolicySchema>;
  readonly defaults?: MessageInitShape<typeof ServiceDefaultsSchema>;
  readonly idempotency?: Idempotency;
  readonly streams?: boolean;
}

/** `rpc Do(Request) returns (Request)` in acme.v1.Service; the request has note_id, count and, nested, a request. */
function method({ policy, defaults, idempotency, streams = false }: Contract): DescMethod {
  const methodOptions = create(MethodOptionsSchema, idempotency === undefined ? {} : { idempotencyLevel: idempotency });
  const serviceOptions = create(ServiceOptionsSchema);
  if (policy) setExtension(methodOptions, methodOption, create(MethodPolicySchema, policy));
  if (defaults) setExtension(serviceOptions, serviceOption, create(ServiceDefaultsSchema, defaults));
  const field = (name: string, number: number, type: Type) => ({ name, number, type, label: Label.OPTIONAL });
  const file = create(FileDescriptorProtoSchema, {
    name: "acme/v1/service.proto",
    package: "acme.v1",
    syntax: "proto3",
    messageType: [
      {
        name: "Request",
        field: [
          field("note_id", 1, Type.STRING),
          field("count", 2, Type.INT32),
          { ...field("inner", 3, Type.MESSAGE), typeName: ".acme.v1.Request" },
        ],
      },
    ],
    service: [
      {
        name: "Service",
        options: serviceOptions,
        method: [
          {
            name: "Do",
            inputType: ".acme.v1.Request",
            outputType: ".acme.v1.Request",
            options: methodOptions,
            serverStreaming: streams,
          },
        ],
      },
    ],
  });
  const described = createFileRegistry(file, () => undefined).getService("acme.v1.Service")?.methods[0];
  assert.ok(described);
  return described;
}

const access = Access.AUTHENTICATED;
const overlaid = create(MethodPolicySchema, { access: Access.PUBLIC, timeout: {} });
const seconds = (count: number) => ({ seconds: BigInt(count) });

describe("an overlay", () => {
  test("speaks for a method without a policy of its own", () => {
    assert.equal(resolvePolicy(method({}), () => overlaid).access, "public");
    assert.throws(() => resolvePolicy(method({}), () => undefined), PolicyFault);
  });

  test("changes nothing where the contract has one", () => {
    assert.equal(resolvePolicy(method({ policy: { access } }), () => overlaid).access, "authenticated");
  });
});

describe("a policy", () => {
  test("may be without a timeout, which is zero", () => {
    assert.equal(resolvePolicy(method({ policy: overlaid })).timeoutMs, undefined);
    assert.equal(resolvePolicy(method({ policy: { access }, defaults: { timeout: {} } })).timeoutMs, undefined);
  });

  test("fills what is not said with the service's defaults, then the platform's", () => {
    const bare = resolvePolicy(method({ policy: { access } }));
    assert.equal(bare.name, "acme.v1.Service/Do");
    assert.equal(bare.access, "authenticated");
    assert.equal(bare.timeoutMs, DEFAULT_TIMEOUT_MS);
    assert.equal(bare.maxRequestBytes, DEFAULT_MAX_REQUEST_BYTES);
    assert.equal(bare.audit, "none");
    assert.equal(bare.repeatable, false);
    assert.equal(bare.rateLimit, undefined);

    const defaults = { timeout: seconds(2), maxRequestBytes: 10, rateLimit: { requests: 5, window: seconds(1) } };
    const inherited = resolvePolicy(method({ policy: { access }, defaults }));
    assert.equal(inherited.timeoutMs, 2000);
    assert.equal(inherited.maxRequestBytes, 10);
    assert.deepEqual(inherited.rateLimit, { requests: 5, windowMs: 1000, burst: 5, key: "user" });

    const rateLimit = { requests: 1, window: seconds(60), burst: 3, key: RateLimitKey.ADDRESS };
    const own = resolvePolicy(
      method({ policy: { access, timeout: seconds(9), maxRequestBytes: 7, audit: Audit.READ, rateLimit }, defaults }),
    );
    assert.equal(own.timeoutMs, 9000);
    assert.equal(own.maxRequestBytes, 7);
    assert.equal(own.audit, "read");
    assert.deepEqual(own.rateLimit, { requests: 1, windowMs: 60_000, burst: 3, key: "address" });
  });

  test("gives a stream no timeout unless its own option says one", () => {
    const defaults = { timeout: seconds(2) };
    assert.equal(resolvePolicy(method({ policy: { access }, defaults, streams: true })).timeoutMs, undefined);
    const policy = { access, timeout: seconds(9) };
    assert.equal(resolvePolicy(method({ policy, defaults, streams: true })).timeoutMs, 9000);
  });

  test("knows what is safe to repeat from the standard option", () => {
    const of = (idempotency: Idempotency) => {
      const { repeatable, sideEffectFree } = resolvePolicy(method({ policy: { access }, idempotency }));
      return [repeatable, sideEffectFree];
    };
    assert.deepEqual(of(Idempotency.IDEMPOTENCY_UNKNOWN), [false, false]);
    assert.deepEqual(of(Idempotency.IDEMPOTENT), [true, false]);
    assert.deepEqual(of(Idempotency.NO_SIDE_EFFECTS), [true, true]);
  });

  test("leaves INTERNAL methods out of the service's rate limit", () => {
    const defaults = { rateLimit: { requests: 5, window: seconds(1) } };
    assert.equal(resolvePolicy(method({ policy: { access: Access.INTERNAL }, defaults })).rateLimit, undefined);
  });

  test("takes a permission's object from a field, also of a nested message, or as it is", () => {
    const objectOf = (object: string) =>
      resolvePolicy(method({ policy: { access, permission: { permission: "view", object } } })).permission?.field;
    assert.deepEqual(objectOf("note:{note_id}"), ["note_id"]);
    assert.deepEqual(objectOf("note:{inner.inner.note_id}"), ["inner", "inner", "note_id"]);
    assert.equal(objectOf("platform:switchboard"), undefined);
  });
});

describe("a contract that leaves a decision open stops the start:", () => {
  const rateLimit = { requests: 1, window: seconds(1) };
  const permission = { permission: "view", object: "note:{note_id}" };
  const faults: readonly [name: string, contract: Contract, problem: RegExp][] = [
    ["no policy", {}, /has no policy; give it the option/],
    ["no access", { policy: {} }, /set `access`/],
    ["an unknown access", { policy: { access: 99 as Access } }, /set `access`/],
    ["PUBLIC with a permission", { policy: { access: Access.PUBLIC, permission } }, /is PUBLIC and asks/],
    [
      "INTERNAL with a rate limit",
      { policy: { access: Access.INTERNAL, rateLimit } },
      /is INTERNAL and has a rate limit/,
    ],
    ["a limit without requests", { policy: { access, rateLimit: { window: seconds(1) } } }, /without requests/],
    ["a limit without a window", { policy: { access, rateLimit: { requests: 1 } } }, /without a window/],
    ["a nameless permission", { policy: { access, permission: { ...permission, permission: "" } } }, /without a name/],
    ...["", "note", "note:", "note:{", "note:{}", "Note:x", "note:{a}{b}", "note:a b", "note:x{note_id}"].map(
      (object): [string, Contract, RegExp] => [
        `the malformed object "${object}"`,
        { policy: { access, permission: { permission: "view", object } } },
        /malformed object/,
      ],
    ),
    ...["nothing", "count", "inner", "note_id.x", "inner.nothing"].map((path): [string, Contract, RegExp] => [
      `an object from "${path}"`,
      { policy: { access, permission: { permission: "view", object: `note:{${path}}` } } },
      /no string field of its request/,
    ]),
  ];
  for (const [name, contract, problem] of faults) {
    test(name, () => {
      assert.throws(
        () => resolvePolicy(method(contract)),
        (error) =>
          error instanceof PolicyFault &&
          problem.test(error.message) &&
          error.message.startsWith("acme.v1.Service/Do: ") &&
          error.method.name === "Do",
      );
    });
  }
});

test("every method of the platform has a policy", () => {
  for (const service of [AuthService, IdentityService, AuthzService, AuditService, GatewayService]) {
    for (const described of service.methods) assert.ok(Object.isFrozen(resolvePolicy(described)), described.name);
  }
});
