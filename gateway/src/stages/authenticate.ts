/** Who calls: an access token is verified, an API key exchanged for one. On public methods a useless credential is left out. */
import { AppError } from "@switchboard/contract/app-error";
import { API_KEY_PREFIX } from "@switchboard/contract/token";
import type { TokenVerifier } from "@switchboard/kernel/trust/token-verifier";
import type { ApiKeys } from "../api-keys.ts";
import { type GatewayCall, single } from "../gateway-call.ts";
import type { Stage } from "../pipeline.ts";

export function authenticate({
  apiKeys,
  verifier,
}: {
  apiKeys: ApiKeys;
  verifier: Pick<TokenVerifier, "verifyAccessToken">;
}): Stage {
  const identify = async (call: GatewayCall, credential: string): Promise<void> => {
    const viaKey = credential.startsWith(API_KEY_PREFIX);
    const token = viaKey ? await apiKeys.exchange(credential) : credential;
    try {
      call.principal = await verifier.verifyAccessToken(token);
    } catch (error) {
      if (viaKey) apiKeys.forget(credential);
      throw error;
    }
    call.accessToken = token;
  };
  return async (call) => {
    const header = single(call.exchange.headers.authorization);
    if (call.route.policy.access === "public") {
      if (header === undefined) return;
      // An expired token must not keep anybody from signing in again.
      await identify(call, bearerOf(header)).catch(() => {});
      return;
    }
    if (header === undefined) {
      throw new AppError("CREDENTIAL_MISSING", "this method needs a credential: send `Authorization: Bearer <token>`");
    }
    await identify(call, bearerOf(header));
  };
}

/** RFC 6750, section 2.1. @throws AppError TOKEN_INVALID */
function bearerOf(header: string): string {
  const match = /^bearer +([\w.~+/=-]+) *$/i.exec(header);
  if (match?.[1]) return match[1];
  throw new AppError("TOKEN_INVALID", "the Authorization header must have the form `Bearer <token>`");
}
