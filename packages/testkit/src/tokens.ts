/** Makes tokens as Auth does, with a key of their own, so that a test can be anybody; and forges them, so that it can be refused. */
import { randomUUID } from "node:crypto";
import {
  ACCESS_TOKEN,
  ACCESS_TOKEN_TTL_MS,
  ISSUER,
  SERVICE_TOKEN_FORMAT,
  SERVICE_TOKEN_TTL_MS,
} from "@switchboard/contract/token";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";

export interface TestKey {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly kid: string;
  readonly alg: string;
  readonly use: string;
}

/** What differs from a good token. */
export interface TokenOptions {
  /** Unix milliseconds. Default: the real time. */
  readonly now?: number;
  /** Milliseconds from `now`; negative: expired already. */
  readonly ttlMs?: number;
  /** Further claims, or others: `sid`, `via`, `aud`, `iss`. Undefined takes a claim away. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Further header parameters, or others: `typ`, `kid`. */
  readonly header?: Readonly<Record<string, unknown>>;
}

export interface TestTokens {
  /** What Auth's JWKS would have. */
  readonly keys: readonly TestKey[];
  accessToken(userId: string, options?: TokenOptions): Promise<string>;
  /** @param service its name: "identity" */
  serviceToken(service: string, options?: TokenOptions): Promise<string>;
}

export async function testTokens(): Promise<TestTokens> {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const sign = (typ: string, ttlMs: number, claims: Record<string, unknown>, options: TokenOptions = {}) => {
    const now = options.now ?? Date.now();
    const iat = Math.floor(now / 1000);
    const exp = Math.floor((now + (options.ttlMs ?? ttlMs)) / 1000);
    return new SignJWT({ iss: ISSUER, jti: randomUUID(), iat, exp, ...claims, ...options.claims })
      .setProtectedHeader({ alg: "EdDSA", typ, kid, ...options.header })
      .sign(privateKey);
  };
  return {
    keys: [{ kty: jwk.kty ?? "", crv: jwk.crv ?? "", x: jwk.x ?? "", kid, alg: "EdDSA", use: "sig" }],
    accessToken(userId, options) {
      const claims = { sub: userId, sid: `session-of-${userId}`, aud: ACCESS_TOKEN.audience };
      return sign(ACCESS_TOKEN.typ, ACCESS_TOKEN_TTL_MS, claims, options);
    },
    serviceToken(service, options) {
      const claims = { sub: `service:${service}`, aud: SERVICE_TOKEN_FORMAT.audience };
      return sign(SERVICE_TOKEN_FORMAT.typ, SERVICE_TOKEN_TTL_MS, claims, options);
    },
  };
}
