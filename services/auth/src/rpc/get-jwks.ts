/** GetJwks. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MethodImpl } from "@connectrpc/connect";
import type { AuthService, JsonWebKeySchema } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import type { Auth } from "../auth.ts";
import type { SigningKey } from "../credentials/signing-keys.ts";

/** Far within the hour (KEY_LEAD_MS) that a key is known before it signs. */
const CACHE_SECONDS = 300;

export function getJwks({ keys }: Auth): MethodImpl<typeof AuthService.method.getJwks> {
  return async (_request, context) => {
    const published = await keys.published();
    context.responseHeader.set("cache-control", `public, max-age=${CACHE_SECONDS}`);
    return { keys: published.map(jsonWebKey) };
  };
}

export function jsonWebKey({ kid, x }: SigningKey): MessageInitShape<typeof JsonWebKeySchema> {
  return { kty: "OKP", crv: "Ed25519", x, kid, alg: "EdDSA", use: "sig" };
}
