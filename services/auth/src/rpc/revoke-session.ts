/** RevokeSession. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { check } from "@switchboard/kernel/rpc/validate";
import { z } from "zod";
import type { Auth } from "../auth.ts";
import { deleteSessions } from "../store/sessions.ts";
import { id, requireUser } from "./fields.ts";

const method = AuthService.method.revokeSession;
const fields = z.object({ sessionId: id });

export function revokeSession({ deps, sessions }: Auth): MethodImpl<typeof method> {
  return (request, context) => {
    const call = callOf(context);
    const { userId } = requireUser(call);
    const { sessionId } = check(fields, request);
    call.object = `user:${userId}`;
    return deps.writes.write(method, request, context, async (tx) => {
      const ended = await deleteSessions(tx.queries, { userId, sessionId });
      if (ended.length === 0) throw new AppError("NOT_FOUND", "you have no open session with this session_id");
      await sessions.revoke(tx, userId, ended);
      return {};
    });
  };
}
