/** The policies of everything that a process serves, resolved at its start: a hole in a contract ends the start. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type MethodPolicy, PolicyFault, resolvePolicy } from "@switchboard/contract/policy";
import { ServerReflection } from "@switchboard/gen/grpc/reflection/v1/reflection_pb";
import { ServerReflection as ServerReflectionAlpha } from "@switchboard/gen/grpc/reflection/v1alpha/reflection_pb";
import { Health } from "@switchboard/gen/health/v1/health_pb";
import { positionOf } from "./proto-positions.ts";

export type Policies = ReadonlyMap<DescMethod, MethodPolicy>;

/** The contracts leave decisions open: the process must not start. Names every one, with its file and line. */
export class ContractFault extends Error {
  override readonly name = "ContractFault";
}

/** Other people's contracts, which every server serves: whoever reaches the port may ask. */
const standardServices: readonly DescService[] = [Health, ServerReflection, ServerReflectionAlpha];

/**
 * The policies of all methods of the services, and of health and reflection. `descriptorSets` are files written by `buf build
 * --as-file-descriptor-set`, looked into for the lines of faults; the platform's own is always among them.
 * @throws ContractFault
 */
export function resolvePolicies(
  services: Iterable<{ readonly descriptor: DescService }>,
  descriptorSets: readonly string[] = [],
): Policies {
  const policies = new Map<DescMethod, MethodPolicy>();
  const faults: string[] = [];
  for (const service of standardServices) {
    for (const method of service.methods) policies.set(method, standardPolicy(method));
  }
  for (const { descriptor } of services) {
    for (const method of descriptor.methods) {
      try {
        policies.set(method, resolvePolicy(method));
      } catch (fault) {
        if (!(fault instanceof PolicyFault)) throw fault;
        faults.push(`${positionOf(method, descriptorSets)}: ${fault.message}`);
      }
    }
  }
  if (faults.length > 0) throw new ContractFault(faults.join("\n"));
  return policies;
}

function standardPolicy(method: DescMethod): MethodPolicy {
  return Object.freeze<MethodPolicy>({
    name: `${method.parent.typeName}/${method.name}`,
    access: "public",
    permission: undefined,
    rateLimit: undefined,
    timeoutMs: method.methodKind === "unary" ? 5_000 : undefined,
    maxRequestBytes: 64 * 1024,
    audit: "none",
    repeatable: true,
    sideEffectFree: true,
    withoutServiceToken: true,
  });
}
