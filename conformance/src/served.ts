/** The suite's service on the platform's own server, without any of the platform's access control: the suite has no tokens. */
import type { MethodPolicy } from "@switchboard/contract/policy";
import { type Policies, resolvePolicies } from "@switchboard/kernel/rpc/policies";
import { type RpcServer, startServer } from "@switchboard/kernel/rpc/server";
import { type Rpc, rpc } from "@switchboard/kernel/service";
import { pino } from "pino";
import { ConformanceService } from "../gen/connectrpc/conformance/v1/service_pb.ts";
import type { WantedServer } from "./compat-server.ts";
import { conformanceService } from "./conformance-service.ts";

/** Where the suite sets no limit: more than its largest message. */
export const MAX_REQUEST_BYTES = 16 * 1024 * 1024;

/** Standard output belongs to the suite's runner. */
export const log = pino({ level: "error" }, pino.destination(2));

export const conformanceRpcs: readonly Rpc[] = [rpc(ConformanceService, conformanceService)];

export function serveConformance({ maxRequestBytes, tls }: WantedServer): Promise<RpcServer> {
  const policies = conformancePolicies(maxRequestBytes || MAX_REQUEST_BYTES);
  return startServer({ rpcs: conformanceRpcs, policies, host: "127.0.0.1", port: 0, tls, bareErrors: true, log });
}

/** The suite's contract has no policies of ours. */
function conformancePolicies(maxRequestBytes: number): Policies {
  const policies = new Map(resolvePolicies([]));
  for (const method of ConformanceService.methods) {
    const policy: MethodPolicy = {
      name: `${ConformanceService.typeName}/${method.name}`,
      access: "public",
      permission: undefined,
      rateLimit: undefined,
      timeoutMs: undefined,
      maxRequestBytes,
      audit: "none",
      repeatable: method === ConformanceService.method.idempotentUnary,
      sideEffectFree: method === ConformanceService.method.idempotentUnary,
      withoutServiceToken: true,
    };
    policies.set(method, policy);
  }
  return policies;
}
