import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { resolvePolicy } from "@switchboard/contract/policy";
import { Health } from "@switchboard/gen/health/v1/health_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { parsePolicyOverlay, readPolicyOverlay } from "./policy-overlay.ts";

const { check, watch } = Health.method;

test("the nearest name counts: the method, then the service, then the package", () => {
  const accessOf = (overlay: object, method = check) =>
    resolvePolicy(method, parsePolicyOverlay(JSON.stringify(overlay))).access;
  const ofPackage = { "grpc.health.v1": { access: "ACCESS_PUBLIC" } };
  const ofService = { ...ofPackage, "grpc.health.v1.Health": { access: "ACCESS_AUTHENTICATED" } };
  const ofMethod = { ...ofService, "grpc.health.v1.Health/Check": { access: "ACCESS_INTERNAL" } };
  assert.equal(accessOf(ofPackage), "public");
  assert.equal(accessOf(ofService), "authenticated");
  assert.equal(accessOf(ofMethod), "internal");
  assert.equal(accessOf(ofMethod, watch as never), "authenticated");
});

test("a policy has its limits, and what it does not say is the platform's default", () => {
  const json = { "grpc.health.v1": { access: "ACCESS_PUBLIC", timeout: "2.5s", maxRequestBytes: 99 } };
  const policy = resolvePolicy(check, parsePolicyOverlay(JSON.stringify(json)));
  assert.deepEqual([policy.timeoutMs, policy.maxRequestBytes, policy.rateLimit], [2_500, 99, undefined]);
});

test("packages that it does not name have no policy, and those with a policy keep it", () => {
  const overlay = parsePolicyOverlay('{"acme": {"access": "ACCESS_PUBLIC"}}');
  assert.throws(() => resolvePolicy(check, overlay), /has no policy/);
  assert.equal(resolvePolicy(IdentityService.method.getUser, overlay).access, "authenticated");
});

test("every fault is named", () => {
  const faulty = {
    "acme.v1": {},
    "acme.v1.Typo": { acess: "ACCESS_PUBLIC" },
    "acme.v1.Open": { access: "ACCESS_PUBLIC", permission: { permission: "view", object: "note:1" } },
    "acme.v1.Field": { access: "ACCESS_AUTHENTICATED", permission: { permission: "view", object: "note:{id}" } },
    "acme.v1.Kept": { access: "ACCESS_AUTHENTICATED", audit: "AUDIT_WRITE" },
    "acme.v1.Token": { access: "ACCESS_PUBLIC", withoutServiceToken: true },
    "acme.v1.Rate": { access: "ACCESS_PUBLIC", rateLimit: { requests: 0 } },
    "acme..v1": { access: "ACCESS_PUBLIC" },
    "switchboard.auth.v1": { access: "ACCESS_PUBLIC" },
    "acme.v1.Fine": { access: "ACCESS_PUBLIC" },
  };
  assert.throws(
    () => parsePolicyOverlay(JSON.stringify(faulty)),
    ({ message }: Error) => {
      const lines = message.split("\n").slice(1);
      assert.deepEqual(
        lines.map((line) => line.trim().split(": ")[0]),
        Object.keys(faulty).slice(0, -1),
      );
      assert.match(message, /acme\.v1: does not say who may call it/);
      assert.match(message, /acess/);
      assert.match(message, /name a fixed object/);
      return true;
    },
  );
});

test("what is no JSON object is said", () => {
  for (const text of ["", "access: public", "[]", "null", '"x"']) {
    assert.throws(() => parsePolicyOverlay(text), /SWITCHBOARD_GATEWAY_POLICY_OVERLAY cannot be used/, text);
  }
});

test("it is read from a file; one that is missing is said", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "switchboard-overlay-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "policy-overlay.json");
  await assert.rejects(readPolicyOverlay(file), /cannot be read/);
  await writeFile(file, '{"grpc.health.v1": {"access": "ACCESS_PUBLIC"}}');
  assert.equal(resolvePolicy(check, await readPolicyOverlay(file)).access, "public");
});
