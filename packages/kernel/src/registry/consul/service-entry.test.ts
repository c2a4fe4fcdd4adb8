import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Registration } from "../registry.ts";
import { type ConsulService, fromService, type ServiceDefinition, toDefinition } from "./service-entry.ts";

const registration: Registration = {
  service: "identity",
  instanceId: "0198c0de-0000-7000-8000-000000000001",
  address: "127.0.0.1:4000",
  version: "0.1.0",
  contractHash: "c0de",
  rpcServices: ["switchboard.identity.v1.IdentityService"],
  metadata: { zone: "a", weight: "10" },
};

/** As Consul gives back what it was given. */
function held({ id, name, address, port, meta }: ServiceDefinition): ConsulService {
  return { ID: id, Service: name, Address: address, Port: port, Meta: meta };
}

test("what Consul holds is what was registered", () => {
  const texts = fc.string({ unit: "binary", maxLength: 600 });
  fc.assert(
    fc.property(
      fc.record({
        instanceId: fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
        address: fc.constantFrom("127.0.0.1:1", "host.example:65535", "[::1]:80", "[fe80::1]:443"),
        version: texts,
        contractHash: texts,
        rpcServices: fc.array(texts, { maxLength: 5 }),
        metadata: fc.dictionary(texts, texts, { maxKeys: 5 }),
      }),
      (part) => {
        const all = { ...registration, ...part };
        const definition = toDefinition(all, 10_000, 1_700_000_000_000);
        assert.match(definition.id, /^identity:[a-z0-9._-]+$/);
        for (const [key, value] of Object.entries(definition.meta)) {
          assert.match(key, /^[a-z0-9-]{1,128}$/);
          assert.ok(Buffer.byteLength(value) <= 512);
        }
        const { instance, leaseMs } = fromService(held(definition)) ?? assert.fail("not understood");
        assert.equal(leaseMs, 10_000);
        assert.deepEqual(
          JSON.parse(JSON.stringify(instance)),
          JSON.parse(JSON.stringify({ ...all, registerTime: 1_700_000_000_000 })),
        );
      },
    ),
    { numRuns: 200 },
  );
});

test("ids that differ in letter case only are different ones, and a UUID stays readable", () => {
  const idOf = (instanceId: string) => toDefinition({ ...registration, instanceId }, 10_000, 0).id;
  assert.equal(idOf(registration.instanceId), `identity:${registration.instanceId}`);
  const ids = ["a", "A", "_41", "_", "é", "É", "a:b"].map((id) => idOf(id).toLowerCase());
  assert.equal(new Set(ids).size, ids.length, ids.join(" "));
});

test("a change of the instance is one of its check, which is what readers are told of", () => {
  const notes = (part: Partial<Registration>) => toDefinition({ ...registration, ...part }, 10_000, 0).check.notes;
  assert.equal(notes({}), notes({}));
  for (const part of [{ contractHash: "new" }, { address: "127.0.0.1:4001" }, { metadata: { zone: "b" } }]) {
    assert.notEqual(notes(part), notes({}));
  }
});

test("what Consul cannot hold is refused with the mend", () => {
  const rpcServices = Array.from({ length: 1_000 }, (_, index) => `switchboard.identity.v1.SomeLongerService${index}`);
  assert.throws(() => toDefinition({ ...registration, rpcServices }, 10_000, 0), {
    name: "AppError",
    reason: "INVALID_FIELD",
    message: /serve fewer services/,
  });
  for (const address of ["127.0.0.1", "127.0.0.1:65536", "::1:80", ":80"]) {
    assert.throws(() => toDefinition({ ...registration, address }, 10_000, 0), { reason: "INVALID_FIELD" });
  }
});

test("500 services fit", () => {
  const rpcServices = Array.from({ length: 500 }, (_, index) => `switchboard.identity.v1.SomeLongerService${index}`);
  const definition = toDefinition({ ...registration, rpcServices }, 10_000, 0);
  assert.deepEqual(fromService(held(definition))?.instance.rpcServices, rpcServices);
});
