/** RevokeApiKey. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { ApiKeyRevokedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { check } from "@switchboard/kernel/rpc/validate";
import { z } from "zod";
import type { Auth } from "../auth.ts";
import { deleteApiKeys } from "../store/api-keys.ts";
import { id, requireUser } from "./fields.ts";

const method = AuthService.method.revokeApiKey;
const fields = z.object({ apiKeyId: id });

export function revokeApiKey({ deps, sessions }: Auth): MethodImpl<typeof method> {
  return (request, context) => {
    const call = callOf(context);
    const { userId } = requireUser(call);
    const { apiKeyId } = check(fields, request);
    call.object = `user:${userId}`;
    return deps.writes.write(method, request, context, async (tx) => {
      const ended = await deleteApiKeys(tx.queries, userId, apiKeyId);
      if (ended.length === 0) throw new AppError("NOT_FOUND", "you have no API key with this api_key_id");
      await tx.publish(ApiKeyRevokedSchema, { userId, apiKeyId }, userId);
      await sessions.revoke(tx, userId, ended);
      return {};
    });
  };
}
