/** RefreshTokens. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { RefreshTokenReusedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { type Call, callOf } from "@switchboard/kernel/rpc/call";
import type { Auth } from "../auth.ts";
import { isRefreshToken } from "../rules/secrets.ts";
import { deleteSessions, type Session } from "../store/sessions.ts";

const method = AuthService.method.refreshTokens;

export function refreshTokens(auth: Auth): MethodImpl<typeof method> {
  const { deps, sessions } = auth;
  return async (request, context) => {
    const call = callOf(context);
    if (!isRefreshToken(request.refreshToken)) throw refused();
    let reused: Session | undefined;
    try {
      return await deps.writes.write(method, request, context, async (tx) => {
        const refreshed = await sessions.refresh(tx, request.refreshToken);
        if (refreshed.outcome !== "unknown") call.object = `user:${refreshed.session.userId}`;
        reused = refreshed.outcome === "reused" ? refreshed.session : undefined;
        if (refreshed.outcome !== "tokens") throw refused();
        return { tokens: refreshed.tokens };
      });
    } catch (error) {
      // The refused call changes nothing; what follows from it is a change of its own.
      if (reused) await endFamily(auth, call, reused);
      throw error;
    }
  };
}

/** Somebody has a copy: whoever holds the session's newest token may be the thief, so the whole session ends. */
async function endFamily({ deps, sessions }: Auth, call: Call, { sessionId, userId }: Session): Promise<void> {
  await deps.database.transaction(call, async (tx) => {
    const ended = await deleteSessions(tx.queries, { userId, sessionId });
    if (ended.length === 0) return;
    await tx.publish(RefreshTokenReusedSchema, { userId, sessionId }, userId);
    await sessions.revoke(tx, userId, ended);
  });
}

function refused(): AppError {
  return new AppError(
    "REFRESH_TOKEN_INVALID",
    "the refresh token is unknown, expired or was used before; sign in again",
  );
}
