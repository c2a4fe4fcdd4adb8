/** SignOut. */
import type { MethodImpl } from "@connectrpc/connect";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { Auth } from "../auth.ts";
import { hashSecret } from "../rules/secrets.ts";
import { deleteSessions, lockSessionOf } from "../store/sessions.ts";

const method = AuthService.method.signOut;

export function signOut({ deps, sessions }: Auth): MethodImpl<typeof method> {
  return (request, context) =>
    deps.writes.write(method, request, context, async (tx) => {
      const session = await lockSessionOf(tx.queries, hashSecret(request.refreshToken));
      if (session === undefined) return {};
      const { userId, sessionId } = session;
      callOf(context).object = `user:${userId}`;
      await sessions.revoke(tx, userId, await deleteSessions(tx.queries, { userId, sessionId }));
      return {};
    });
}
