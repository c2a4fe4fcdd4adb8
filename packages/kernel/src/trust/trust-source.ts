/** Where keys, revocations and this process's own token come from: Auth, over the network; in Auth itself, its own store. */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { JsonWebKey, Revocation } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import type { Clients } from "../rpc/clients.ts";

export interface TrustSource {
  fetchKeys(): Promise<readonly JsonWebKey[]>;
  listRevocations(
    afterSequence: bigint,
  ): Promise<{ readonly revocations: readonly Revocation[]; readonly lastSequence: bigint }>;
  issueServiceToken(): Promise<{ readonly token: string; readonly expireTimeMs: number }>;
}

/**
 * Auth, over the network. `bare` are clients without a service token: the first keys and the first token are fetched
 * with them.
 */
export function remoteTrust(options: {
  readonly service: string;
  readonly secret: string;
  readonly bare: Clients;
  readonly clients: Clients;
}): TrustSource {
  const { service, secret } = options;
  const bare = options.bare.client(AuthService);
  const auth = options.clients.client(AuthService);
  return {
    fetchKeys: async () => (await bare.getJwks({})).keys,
    listRevocations: (afterSequence) => auth.listRevocations({ afterSequence }),
    async issueServiceToken() {
      const { serviceToken, expireTime } = await bare.issueServiceToken({ service, secret });
      return { token: serviceToken, expireTimeMs: expireTime ? timestampMs(expireTime) : 0 };
    },
  };
}
