/** RevokeAllSessions. */
import type { MethodImpl } from "@connectrpc/connect";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { Auth } from "../auth.ts";
import { deleteSessions } from "../store/sessions.ts";
import { requireUser } from "./fields.ts";

const method = AuthService.method.revokeAllSessions;

export function revokeAllSessions({ deps, sessions }: Auth): MethodImpl<typeof method> {
  return (request, context) => {
    const call = callOf(context);
    const { userId } = requireUser(call);
    call.object = `user:${userId}`;
    return deps.writes.write(method, request, context, async (tx) => {
      await sessions.revoke(tx, userId, await deleteSessions(tx.queries, { userId }));
      return {};
    });
  };
}
