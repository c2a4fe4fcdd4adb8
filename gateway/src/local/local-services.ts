/**
 * What the gateway answers itself, behind the same stages as everything else: GatewayService, health, and the reflection
 * of all that can be called. Served by connect-es; it is not in the way of other calls.
 */
import type { DescService } from "@bufbuild/protobuf";
import type { UniversalHandlerFn } from "@connectrpc/connect/protocol";
import type { PolicyOverlay } from "@switchboard/contract/policy";
import { GatewayService } from "@switchboard/gen/switchboard/gateway/v1/gateway_service_pb";
import { admittedInterceptors } from "@switchboard/kernel/rpc/interceptors/service-interceptors";
import { resolvePolicies } from "@switchboard/kernel/rpc/policies";
import { reflectionRpcs } from "@switchboard/kernel/rpc/reflection";
import { buildRoutes } from "@switchboard/kernel/rpc/routes";
import { type Rpc, rpc } from "@switchboard/kernel/service";
import type { Logger } from "pino";
import type { LiveRoutes } from "../live-routes.ts";
import { localRoute, type Route } from "../route-table.ts";
import { listInstances, listRoutes } from "./gateway-service.ts";
import { type GatewayHealthOptions, healthRpc } from "./health.ts";
import { outsideView } from "./outside-view.ts";

export interface LocalServices {
  readonly routes: readonly Route[];
  /** Undefined: the path is not local. */
  handler(path: string): UniversalHandlerFn | undefined;
}

export interface LocalServicesOptions extends GatewayHealthOptions {
  /** The gateway's name in the registry. */
  readonly service: string;
  /** Asked for each answer; the table exists after the local routes. */
  readonly live: () => LiveRoutes;
  readonly log: Logger;
  /** Policies for contracts of others. */
  readonly policyOverlay?: PolicyOverlay | undefined;
  /** Ends every answer under way. */
  readonly shutdown: AbortSignal;
}

export function createLocalServices(options: LocalServicesOptions): LocalServices {
  const { endpoints, live, log, service, shutdown } = options;
  const own: Rpc[] = [
    rpc(GatewayService, {
      listRoutes: () => listRoutes(live().table().values()),
      listInstances: () => listInstances(endpoints(), live().gateways(), live().ageMs()),
    }),
    healthRpc(options),
  ];
  const policies = resolvePolicies([{ descriptor: GatewayService }]);
  const admitted = admittedInterceptors({ policies, log: log.child({}, { level: "warn" }), recordCall: () => {} });
  const handlersOf = (rpcs: readonly Rpc[]) =>
    buildRoutes({
      rpcs,
      policies,
      ...admitted,
      unarySignal: shutdown,
      streamSignal: shutdown,
    });
  const handlers = handlersOf(own);
  // Built anew when somebody asks after the contracts changed; its methods are always the same.
  let reflected: { readonly of: readonly unknown[]; readonly handlers: ReturnType<typeof handlersOf> } | undefined;
  const reflection = () => {
    const table = live().table();
    if (reflected?.of[0] !== table) {
      const services: { descriptor: DescService }[] = [
        ...own,
        ...outsideView(live().contracts(), options.policyOverlay),
      ];
      reflected = { of: [table], handlers: handlersOf(reflectionRpcs(services)) };
    }
    return reflected.handlers;
  };
  const methods = [...own, ...reflectionRpcs([])].flatMap(({ descriptor }) => descriptor.methods);
  return {
    routes: methods.flatMap((method) => {
      const policy = policies.get(method);
      return policy ? [localRoute(service, method, policy)] : [];
    }),
    handler: (path) =>
      (handlers.get(path) ?? (path.startsWith("/grpc.reflection.") ? reflection().get(path) : undefined))?.handler,
  };
}
