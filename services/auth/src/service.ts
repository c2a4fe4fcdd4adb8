/** Auth: credentials, sessions, tokens, signing keys. Who people are is Identity's, what they may do is Authz's. */
import { create } from "@bufbuild/protobuf";
import {
  AuthService,
  JsonWebKeySchema,
  ListRevocationsResponseSchema,
} from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import type { Program } from "@switchboard/kernel/run-service";
import { type Job, rpc, type ServiceDeps } from "@switchboard/kernel/service";
import type { TrustSource } from "@switchboard/kernel/trust/trust-source";
import { type Auth, createAuth } from "./auth.ts";
import type { AuthConfig } from "./config.ts";
import { peopleConsumers } from "./events/people.ts";
import { finishSignUps } from "./jobs/finish-sign-ups.ts";
import { firstAdministrator } from "./jobs/first-administrator.ts";
import { purge } from "./jobs/purge.ts";
import { changePassword } from "./rpc/change-password.ts";
import { createApiKey } from "./rpc/create-api-key.ts";
import { exchangeApiKey } from "./rpc/exchange-api-key.ts";
import { getJwks, jsonWebKey } from "./rpc/get-jwks.ts";
import { issueServiceToken } from "./rpc/issue-service-token.ts";
import { listApiKeys } from "./rpc/list-api-keys.ts";
import { listRevocations, revocationsAfter } from "./rpc/list-revocations.ts";
import { listSessions } from "./rpc/list-sessions.ts";
import { refreshTokens } from "./rpc/refresh-tokens.ts";
import { revokeAllSessions } from "./rpc/revoke-all-sessions.ts";
import { revokeApiKey } from "./rpc/revoke-api-key.ts";
import { revokeSession } from "./rpc/revoke-session.ts";
import { signIn } from "./rpc/sign-in.ts";
import { signOut } from "./rpc/sign-out.ts";
import { signUp } from "./rpc/sign-up.ts";

export function createAuthService(deps: ServiceDeps, config: AuthConfig): Program & { readonly trust: TrustSource } {
  const auth = createAuth(deps, config);
  const administrator = firstAdministrator(auth);
  return {
    name: "auth",
    rpcs: [
      rpc(AuthService, {
        signUp: signUp(auth),
        signIn: signIn(auth),
        refreshTokens: refreshTokens(auth),
        signOut: signOut(auth),
        listSessions: listSessions(auth),
        revokeSession: revokeSession(auth),
        revokeAllSessions: revokeAllSessions(auth),
        changePassword: changePassword(auth),
        createApiKey: createApiKey(auth),
        listApiKeys: listApiKeys(auth),
        revokeApiKey: revokeApiKey(auth),
        exchangeApiKey: exchangeApiKey(auth),
        getJwks: getJwks(auth),
        issueServiceToken: issueServiceToken(auth),
        listRevocations: listRevocations(auth),
      }),
    ],
    consumers: peopleConsumers(auth),
    jobs: [rotateSigningKeys(auth), finishSignUps(auth), administrator.job, purge(auth)],
    problems: () => [auth.keys.problem(), administrator.problem()].filter((problem) => problem !== undefined),
    trust: ownTrust(auth),
  };
}

/** Auth verifies its callers with what it has itself: no network, and no circle at the start. */
function ownTrust(auth: Auth): TrustSource {
  const { deps, keys, tokens } = auth;
  return {
    fetchKeys: async () => (await keys.published()).map((key) => create(JsonWebKeySchema, jsonWebKey(key))),
    listRevocations: async (after) => create(ListRevocationsResponseSchema, await revocationsAfter(auth, after)),
    async issueServiceToken() {
      const { token, expireTime } = await tokens.serviceToken("auth", deps.now());
      return { token, expireTimeMs: expireTime };
    },
  };
}

function rotateSigningKeys({ keys }: Auth): Job {
  return { name: "rotate-signing-keys", everyMs: 60_000, run: () => keys.rotate() };
}
