/** Contracts of instances → the frozen table of what can be called, by path. Pure; live-routes.ts keeps it current. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  type MethodPolicy,
  type PermissionPolicy,
  PolicyFault,
  type PolicyOverlay,
  resolvePolicy,
} from "@switchboard/contract/policy";
import { stricterPolicy } from "./stricter-policy.ts";

export interface Route {
  /** "/switchboard.identity.v1.IdentityService/GetUser" */
  readonly path: string;
  /** The registered service that answers: "identity". */
  readonly service: string;
  /** "switchboard.identity.v1.IdentityService" */
  readonly rpcService: string;
  readonly policy: MethodPolicy;
  /** All of them must hold. Where instances differ, there may be more than one. */
  readonly permissions: readonly PermissionPolicy[];
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  /** Ids of instances of the service that do not get it: they have no such method, or their contract is not known yet. */
  readonly lacking: ReadonlySet<string>;
}

export type RouteTable = ReadonlyMap<string, Route>;

/** Instances of one service that have the same contract. */
export interface Deployment {
  readonly service: string;
  /** Undefined: not known yet. */
  readonly contract: readonly DescService[] | undefined;
  readonly instanceIds: readonly string[];
}

export interface BuiltRoutes {
  readonly table: RouteTable;
  /** Methods that are not routed, and why. */
  readonly faults: readonly string[];
}

/** @param overlay policies for contracts of others. */
export function buildRoutes(deployments: readonly Deployment[], overlay?: PolicyOverlay): BuiltRoutes {
  const table = new Map<string, Route>();
  const faults = new Set<string>();
  const serving = new Map<string, Set<string>>();
  for (const { service, contract = [], instanceIds } of deployments) {
    for (const method of contract.flatMap((rpcService) => rpcService.methods)) {
      const route = routeOf(service, method, faults, overlay);
      if (route === undefined) continue;
      const known = table.get(route.path);
      // A package has one owner; a second service that claims it is not believed.
      if (known && known.service !== service) continue;
      table.set(route.path, known ? stricterRoute(known, route) : route);
      const ids = serving.get(route.path) ?? new Set();
      for (const id of instanceIds) ids.add(id);
      serving.set(route.path, ids);
    }
  }
  for (const [path, route] of table) {
    const having = serving.get(path);
    const ids = deployments.filter(({ service }) => service === route.service).flatMap((each) => each.instanceIds);
    table.set(path, Object.freeze({ ...route, lacking: new Set(ids.filter((id) => !having?.has(id))) }));
  }
  return { table, faults: [...faults] };
}

/** The route of a method; undefined where its policy is left open. */
function routeOf(
  service: string,
  method: DescMethod,
  faults: Set<string>,
  overlay: PolicyOverlay | undefined,
): Route | undefined {
  try {
    return localRoute(service, method, resolvePolicy(method, overlay));
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    faults.add(fault.message);
    return undefined;
  }
}

/** The route of a method with a policy that is known. */
export function localRoute(service: string, method: DescMethod, policy: MethodPolicy): Route {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    service,
    rpcService: method.parent.typeName,
    policy,
    permissions: policy.permission ? [policy.permission] : [],
    clientStreaming: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    serverStreaming: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    lacking: new Set(),
  };
}

function stricterRoute(a: Route, b: Route): Route {
  const permissions = [...a.permissions];
  for (const permission of b.permissions) {
    const same = permissions.some(
      (known) => known.permission === permission.permission && known.object === permission.object,
    );
    if (!same) permissions.push(permission);
  }
  return {
    ...a,
    policy: stricterPolicy(a.policy, b.policy),
    permissions,
    clientStreaming: a.clientStreaming || b.clientStreaming,
    serverStreaming: a.serverStreaming || b.serverStreaming,
  };
}
