import assert from "node:assert/strict";
import { test } from "node:test";
import { Health } from "@switchboard/gen/health/v1/health_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { ProbeService, SecondProbeService } from "../test/probe-service.ts";
import { parsePolicyOverlay } from "./policy-overlay.ts";
import { buildRoutes } from "./route-table.ts";

const read = "/test.probe.v1.ProbeService/Read";
const added = "/test.probe.v1.ProbeService/Added";

test("a contract becomes routes with their policies; a method without one is not routed", () => {
  const { table, faults } = buildRoutes([
    { service: "identity", contract: [IdentityService], instanceIds: ["i"] },
    { service: "probe", contract: [ProbeService, Health], instanceIds: ["p"] },
  ]);
  assert.equal(table.get("/switchboard.identity.v1.IdentityService/GetUser")?.policy.access, "authenticated");
  assert.equal(table.get("/test.probe.v1.ProbeService/Chat")?.clientStreaming, true);
  assert.equal(table.has("/test.probe.v1.ProbeService/Loose"), false);
  assert.equal(table.has("/grpc.health.v1.Health/Check"), false);
  assert.ok(faults.some((fault) => fault.includes("ProbeService/Loose") && fault.includes("no policy")));
});

test("a method of somebody else's contract is routed with the overlay's policy", () => {
  const overlay = parsePolicyOverlay('{"grpc.health.v1": {"access": "ACCESS_AUTHENTICATED"}}');
  const deployments = [{ service: "other", contract: [Health], instanceIds: ["o"] }];
  assert.equal(
    buildRoutes(deployments, overlay).table.get("/grpc.health.v1.Health/Check")?.policy.access,
    "authenticated",
  );
});

test("of two versions the stricter policy holds, and each method knows who lacks it", () => {
  const versions = [
    { service: "probe", contract: [ProbeService], instanceIds: ["old-1", "old-2"] },
    { service: "probe", contract: [SecondProbeService], instanceIds: ["young"] },
    { service: "probe", contract: undefined, instanceIds: ["not-known-yet"] },
  ];
  for (const order of [versions, versions.toReversed()]) {
    const { table } = buildRoutes(order);
    assert.equal(table.get(read)?.policy.access, "authenticated");
    assert.deepEqual(table.get(read)?.lacking, new Set(["not-known-yet"]));
    assert.deepEqual([...(table.get(added)?.lacking ?? [])].sort(), ["not-known-yet", "old-1", "old-2"]);
  }
});

test("a second service that claims a method does not get it", () => {
  const { table } = buildRoutes([
    { service: "probe", contract: [ProbeService], instanceIds: ["p"] },
    { service: "thief", contract: [SecondProbeService], instanceIds: ["t"] },
  ]);
  assert.equal(table.get(read)?.service, "probe");
  assert.equal(table.get(read)?.policy.access, "public");
});
