/** What the calls of Authz work with. */
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import type { ServiceDeps } from "@switchboard/kernel/service";
import type { Graph } from "../rules/graph.ts";
import type { Model } from "../rules/model.ts";

export interface AuthzDeps extends Pick<ServiceDeps, "database" | "writes" | "now"> {
  /** This service's own graph. */
  readonly authorizer: Authorizer;
  readonly graph: Graph;
  /** The model in force. */
  model(): Model;
}
