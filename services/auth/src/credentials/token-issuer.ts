/** Makes the JWTs that contract/token.ts describes. */
import { randomUUID } from "node:crypto";
import {
  ACCESS_TOKEN,
  ACCESS_TOKEN_TTL_MS,
  ISSUER,
  SERVICE_TOKEN_FORMAT,
  SERVICE_TOKEN_TTL_MS,
} from "@switchboard/contract/token";
import { SignJWT } from "jose";
import type { SigningKeys } from "./signing-keys.ts";

export interface AccessTokenFor {
  readonly userId: string;
  /** The session or the API key. */
  readonly credentialId: string;
  readonly viaApiKey: boolean;
  readonly tokenId: string;
  /** Unix milliseconds. */
  readonly issueTime: number;
  /** When its credential ends. Unix milliseconds. */
  readonly notAfter: number;
}

export interface IssuedToken {
  readonly token: string;
  /** Unix milliseconds, whole seconds. */
  readonly expireTime: number;
}

export class TokenIssuer {
  readonly #keys: SigningKeys;

  constructor(keys: SigningKeys) {
    this.#keys = keys;
  }

  /** The same input gives the same token (Ed25519 signs without chance). */
  async accessToken(grant: AccessTokenFor): Promise<IssuedToken> {
    const { userId, credentialId, viaApiKey, tokenId, issueTime, notAfter } = grant;
    const claims = { sid: credentialId, ...(viaApiKey && { via: "api_key" }) };
    const expireTime = Math.min(issueTime + ACCESS_TOKEN_TTL_MS, notAfter);
    return this.#sign(ACCESS_TOKEN, userId, tokenId, issueTime, expireTime, claims);
  }

  serviceToken(service: string, issueTime: number): Promise<IssuedToken> {
    const expireTime = issueTime + SERVICE_TOKEN_TTL_MS;
    return this.#sign(SERVICE_TOKEN_FORMAT, `service:${service}`, randomUUID(), issueTime, expireTime, {});
  }

  async #sign(
    { typ, audience }: { readonly typ: string; readonly audience: string },
    subject: string,
    tokenId: string,
    issueTime: number,
    expireTime: number,
    claims: Readonly<Record<string, string>>,
  ): Promise<IssuedToken> {
    const { kid, privateKey } = await this.#keys.at(issueTime);
    const expireSeconds = Math.floor(expireTime / 1000);
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", typ, kid })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setSubject(subject)
      .setJti(tokenId)
      .setIssuedAt(Math.floor(issueTime / 1000))
      .setExpirationTime(expireSeconds)
      .sign(privateKey);
    return { token, expireTime: expireSeconds * 1000 };
  }
}
