/** Who may ask what: people about themselves, services about everybody, others with a permission on the platform. */
import type { HandlerContext } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { actorOf } from "@switchboard/contract/principal";
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import { callOf } from "@switchboard/kernel/rpc/call";

const PLATFORM = "platform:switchboard";

/** `user:me` is the caller. */
export function ownSubject(context: HandlerContext, subject: string): string {
  const { principal } = callOf(context);
  return subject === "user:me" && principal.kind === "user" ? principal.subject : subject;
}

/** @throws AppError PERMISSION_DENIED */
export async function requireAbout(context: HandlerContext, authorizer: Authorizer, subject: string): Promise<void> {
  const { principal } = callOf(context);
  if (principal.kind === "service" || (principal.kind === "user" && principal.subject === subject)) return;
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
  throw new AppError("PERMISSION_DENIED", `this takes the permission ${permission} on ${PLATFORM}`);
}
