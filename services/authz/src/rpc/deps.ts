/** What the calls of Authz work with. */
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import type { ServiceDeps } from "@switchboard/kernel/service";
import type { LearntModels } from "../models/learnt-models.ts";

export interface AuthzDeps extends Pick<ServiceDeps, "database" | "writes" | "now"> {
  /** This service's own graph. */
  readonly authorizer: Authorizer;
  readonly models: Models;
}

/** The model in force, and what keeps it from being all that is declared. */
export type Models = Pick<LearntModels, "current" | "unread" | "refused" | "settled">;
