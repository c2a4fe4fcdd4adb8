/** Who may ask what: people about themselves, services about everybody, others with a permission on the platform. */
import type { HandlerContext } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { actorOf } from "@switchboard/contract/principal";
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import { callOf } from "@switchboard/kernel/rpc/call";
import { invalidField } from "./fields.ts";

const PLATFORM = "platform:switchboard";

/** The reference that a field holds, where `user:me` is the caller. @throws AppError INVALID_FIELD where no user calls */
export function ownReference(context: HandlerContext, field: string, text: string): string {
  if (text !== "user:me") return text;
  const { principal } = callOf(context);
  if (principal.kind !== "user") throw invalidField(field, "must name a user: `me` is for users, and a service calls");
  return principal.subject;
}

/** @throws AppError PERMISSION_DENIED */
export async function requireAbout(
  context: HandlerContext,
  authorizer: Authorizer,
  ...subjects: readonly string[]
): Promise<void> {
  const { principal } = callOf(context);
  if (principal.kind === "service") return;
  if (principal.kind === "user" && subjects.every((subject) => subject === principal.subject)) return;
  await requirePlatform(context, authorizer, "view_relationships");
}

/** @throws AppError PERMISSION_DENIED */
export async function requirePlatform(
  context: HandlerContext,
  authorizer: Authorizer,
  permission: string,
): Promise<void> {
  const caller = actorOf(callOf(context).principal);
  if (await authorizer.check(caller, permission, PLATFORM)) return;
  throw new AppError("PERMISSION_DENIED", `this takes the permission "${permission}" on ${PLATFORM}`, {
    metadata: { permission, object: PLATFORM },
  });
}
