/** ExchangeApiKey. */
import { randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import type { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import type { Auth } from "../auth.ts";
import { hashSecret, isApiKeySecret } from "../rules/secrets.ts";
import { findUsableApiKey, touchApiKey } from "../store/api-keys.ts";

const MINUTE_MS = 60_000;

export function exchangeApiKey({ deps, tokens }: Auth): MethodImpl<typeof AuthService.method.exchangeApiKey> {
  return async ({ secret }) => {
    const { queries } = deps.database;
    const now = deps.now();
    const key = isApiKeySecret(secret) ? await findUsableApiKey(queries, hashSecret(secret), new Date(now)) : undefined;
    if (key === undefined) throw new AppError("API_KEY_INVALID", "the API key is unknown, expired or revoked");
    const minute = now - (now % MINUTE_MS);
    if ((key.lastUseTime?.getTime() ?? 0) < minute) await touchApiKey(queries, key.apiKeyId, new Date(minute));
    const { token, expireTime } = await tokens.accessToken({
      userId: key.userId,
      credentialId: key.apiKeyId,
      viaApiKey: true,
      tokenId: randomUUID(),
      issueTime: now,
      notAfter: key.expireTime?.getTime() ?? Number.POSITIVE_INFINITY,
    });
    return { accessToken: token, expireTime: timestampFromMs(expireTime) };
  };
}
