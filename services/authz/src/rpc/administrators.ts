/** Somebody must be left who can give roles: without an administrator nobody could make one. */
import { AppError } from "@switchboard/contract/app-error";
import type { Transaction } from "@switchboard/kernel/database/database";
import { CHECK_LIMITS } from "../rules/limits.ts";
import { hasSubject } from "../rules/list-subjects.ts";
import type { Model } from "../rules/model.ts";
import type { Relationship } from "../rules/reference.ts";
import { sqlGraph } from "../store/sql-graph.ts";

const ROLE = { object: { type: "platform", id: "switchboard" }, permission: "admin" };

/**
 * In the transaction that deleted, which holds the revision's lock: of two that take roles away at once, the second sees
 * what the first left. @throws AppError WRONG_STATE
 */
export async function requireAdministratorLeft(
  tx: Transaction,
  model: Model,
  deleted: readonly Relationship[],
): Promise<void> {
  if (!deleted.some(isOnTheWay)) return;
  const graph = sqlGraph(tx.queries, () => {});
  for (const subjectType of ["user", "service"]) {
    if (await hasSubject(model, graph, { ...ROLE, subjectType }, CHECK_LIMITS)) return;
  }
  throw new AppError("WRONG_STATE", "nobody would administer the platform any more; make another administrator first");
}

/** Whether somebody may have been an administrator by it: directly, or as a member of a group. */
function isOnTheWay({ object, relation }: Relationship): boolean {
  return object.type === "group" || (object.type === ROLE.object.type && relation === ROLE.permission);
}
