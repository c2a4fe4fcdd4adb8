/** IssueServiceToken. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import type { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import type { Auth } from "../auth.ts";
import { matchesHash } from "../rules/secrets.ts";

/** Only failures count: the secrets have too many bits to guess, and a guesser must not keep a service from its token. */
const FAILURES = { requests: 60, windowMs: 60_000, burst: 60 };
/** No secret's. */
const NO_HASH = new Uint8Array(32);

export function issueServiceToken({
  deps,
  config,
  tokens,
}: Auth): MethodImpl<typeof AuthService.method.issueServiceToken> {
  return async ({ service, secret }) => {
    if (!matchesHash(secret, config.serviceSecrets.get(service) ?? NO_HASH)) {
      const known = config.serviceSecrets.has(service) ? service : "";
      const { allowed, retryAfterMs } = await deps.state.take(`service-token/${known}`, FAILURES);
      if (allowed) throw new AppError("WRONG_CREDENTIALS", "the service is unknown or its secret is wrong");
      throw new AppError("RATE_LIMITED", "too many wrong secrets came; wait and try again", { retryAfterMs });
    }
    const { token, expireTime } = await tokens.serviceToken(service, deps.now());
    return { serviceToken: token, expireTime: timestampFromMs(expireTime) };
  };
}
