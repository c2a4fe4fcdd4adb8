/** GatewayService: what this gateway routes, and how the instances fare. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { RateLimitPolicy } from "@switchboard/contract/policy";
import type {
  ListInstancesResponseSchema,
  ListRoutesResponseSchema,
} from "@switchboard/gen/switchboard/gateway/v1/gateway_service_pb";
import { Access, RateLimitKey } from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import type { Instance } from "@switchboard/kernel/registry/registry";
import type { EndpointStatus } from "@switchboard/kernel/rpc/balancer";
import type { Route } from "../route-table.ts";

const accesses = { public: Access.PUBLIC, authenticated: Access.AUTHENTICATED, internal: Access.INTERNAL } as const;
const keys = { address: RateLimitKey.ADDRESS, user: RateLimitKey.USER, api_key: RateLimitKey.API_KEY } as const;

export function listRoutes(routes: Iterable<Route>): MessageInitShape<typeof ListRoutesResponseSchema> {
  const callable = [...routes].filter(({ policy }) => policy.access !== "internal");
  callable.sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    routes: callable.map(({ path, service, policy, permissions, clientStreaming, serverStreaming }) => {
      const [permission] = permissions;
      return {
        path,
        service,
        access: accesses[policy.access],
        ...(permission && { permission: { permission: permission.permission, object: permission.object } }),
        ...(policy.rateLimit && { rateLimit: rateLimit(policy.rateLimit) }),
        ...(policy.timeoutMs !== undefined && { timeout: durationFromMs(policy.timeoutMs) }),
        maxRequestBytes: policy.maxRequestBytes,
        clientStreaming,
        serverStreaming,
      };
    }),
  };
}

function rateLimit({ requests, windowMs, burst, key }: RateLimitPolicy) {
  return { requests, window: durationFromMs(windowMs), burst, key: keys[key] };
}

/**
 * @param gateways Registered as the others are, and never called by this one.
 * @param ageMs Infinity: the registry never answered.
 */
export function listInstances(
  endpoints: readonly EndpointStatus[],
  gateways: readonly Instance[],
  ageMs: number,
): MessageInitShape<typeof ListInstancesResponseSchema> {
  return {
    instances: [
      ...endpoints.map(({ instance, inFlight, available, problem = "" }) => ({
        ...registered(instance),
        inFlight,
        available,
        problem,
      })),
      ...gateways.map((gateway) => ({ ...registered(gateway), available: true })),
    ],
    ...(Number.isFinite(ageMs) && { age: durationFromMs(Math.round(ageMs)) }),
  };
}

function registered({ service, instanceId, address, version, contractHash, registerTime }: Instance) {
  return { service, instanceId, address, version, contractHash, registerTime: timestampFromMs(registerTime) };
}
