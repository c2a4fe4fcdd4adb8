/** An API key as callers see it: without its secret. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ApiKeySchema } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import type { ApiKey } from "../store/api-keys.ts";

export function apiKeyMessage(key: ApiKey): MessageInitShape<typeof ApiKeySchema> {
  const { apiKeyId, displayName, secretPrefix, createTime, expireTime, lastUseTime } = key;
  return {
    apiKeyId,
    displayName,
    secretPrefix,
    createTime: timestampFromDate(createTime),
    ...(expireTime && { expireTime: timestampFromDate(expireTime) }),
    ...(lastUseTime && { lastUseTime: timestampFromDate(lastUseTime) }),
  };
}
