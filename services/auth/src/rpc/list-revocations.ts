/** ListRevocations. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthService, ListRevocationsResponseSchema } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import type { Auth } from "../auth.ts";
import { listRevocations as readRevocations } from "../store/revocations.ts";

export function listRevocations(auth: Auth): MethodImpl<typeof AuthService.method.listRevocations> {
  return ({ afterSequence }) => revocationsAfter(auth, afterSequence);
}

export async function revocationsAfter(
  { deps }: Auth,
  afterSequence: bigint,
): Promise<MessageInitShape<typeof ListRevocationsResponseSchema>> {
  const found = await readRevocations(deps.database.queries, afterSequence, new Date(deps.now()));
  return {
    revocations: found.map(({ sequence, credentialId, expireTime }) => ({
      sequence,
      credentialId,
      expireTime: timestampFromDate(expireTime),
    })),
    lastSequence: found.at(-1)?.sequence ?? afterSequence,
  };
}
