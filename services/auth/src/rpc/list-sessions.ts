/** ListSessions. */

import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { Auth } from "../auth.ts";
import { listSessions as readSessions } from "../store/sessions.ts";
import { requireUser } from "./fields.ts";

export function listSessions({ deps }: Auth): MethodImpl<typeof AuthService.method.listSessions> {
  return async (_request, context) => {
    const { userId, credentialId } = requireUser(callOf(context));
    const sessions = await readSessions(deps.database.queries, userId, new Date(deps.now()));
    return {
      sessions: sessions.map(({ sessionId, createTime, lastUseTime, expireTime, userAgent, address }) => ({
        sessionId,
        createTime: timestampFromDate(createTime),
        lastUseTime: timestampFromDate(lastUseTime),
        expireTime: timestampFromDate(expireTime),
        userAgent,
        address,
        current: sessionId === credentialId,
      })),
    };
  };
}
