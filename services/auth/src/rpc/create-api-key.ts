/** CreateApiKey. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { newId } from "@switchboard/contract/ids";
import { ApiKeyCreatedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { check } from "@switchboard/kernel/rpc/validate";
import { z } from "zod";
import type { Auth } from "../auth.ts";
import { wrongCredentials } from "../credentials/sessions.ts";
import { hashSecret, newApiKeySecret, shownPrefix } from "../rules/secrets.ts";
import { lockOpenAccount } from "../store/accounts.ts";
import { type ApiKey, countApiKeys, insertApiKey } from "../store/api-keys.ts";
import { apiKeyMessage } from "./api-key-message.ts";
import { displayName, requireUser } from "./fields.ts";

const KEYS_MAX = 50;
const method = AuthService.method.createApiKey;
const fields = z.object({ displayName });

export function createApiKey({ deps }: Auth): MethodImpl<typeof method> {
  return (request, context) => {
    const call = callOf(context);
    const { userId, viaApiKey } = requireUser(call);
    if (viaApiKey) throw new AppError("PERMISSION_DENIED", "an API key makes no others; sign in to make one");
    call.object = `user:${userId}`;
    const secret = newApiKeySecret();
    const key: ApiKey = {
      apiKeyId: newId(),
      userId,
      displayName: check(fields, request).displayName,
      secretHash: hashSecret(secret),
      secretPrefix: shownPrefix(secret),
      createTime: new Date(deps.now()),
      expireTime: expireTimeOf(request.expireTime),
      lastUseTime: null,
    };
    return deps.writes.write(method, request, context, async (tx) => {
      requireFuture(key.expireTime, deps.now());
      // The lock also keeps parallel calls from passing the limit.
      if (!(await lockOpenAccount(tx.queries, userId))) throw wrongCredentials();
      if ((await countApiKeys(tx.queries, userId)) >= KEYS_MAX) {
        throw new AppError("WRONG_STATE", `you have ${KEYS_MAX} API keys; revoke one first`);
      }
      await insertApiKey(tx.queries, key);
      await tx.publish(ApiKeyCreatedSchema, { userId, apiKeyId: key.apiKeyId }, userId);
      return { apiKey: apiKeyMessage(key), secret };
    });
  };
}

function expireTimeOf(expireTime: Timestamp | undefined): Date | null {
  if (expireTime === undefined) return null;
  const date = timestampDate(expireTime);
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() > 9999) throw invalidExpireTime();
  return date;
}

function requireFuture(expireTime: Date | null, now: number): void {
  if (expireTime !== null && expireTime.getTime() <= now) throw invalidExpireTime();
}

function invalidExpireTime(): AppError {
  const violations = [{ field: "expire_time", description: "must be in the future" }];
  return new AppError("INVALID_FIELD", "expire_time must be in the future", { violations });
}
