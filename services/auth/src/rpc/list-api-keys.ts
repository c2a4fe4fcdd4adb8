/** ListApiKeys. */
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { Auth } from "../auth.ts";
import { listApiKeys as readApiKeys } from "../store/api-keys.ts";
import { apiKeyMessage } from "./api-key-message.ts";
import { requireUser } from "./fields.ts";

export function listApiKeys({ deps }: Auth): MethodImpl<typeof AuthService.method.listApiKeys> {
  return async (_request, context) => {
    const { userId } = requireUser(callOf(context));
    return { apiKeys: (await readApiKeys(deps.database.queries, userId)).map(apiKeyMessage) };
  };
}
