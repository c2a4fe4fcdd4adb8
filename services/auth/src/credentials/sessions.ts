/** Opens sessions, exchanges their refresh tokens, and ends credentials. Each runs in a transaction of the caller's. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AppError } from "@switchboard/contract/app-error";
import { newId } from "@switchboard/contract/ids";
import { ACCESS_TOKEN_TTL_MS, CLOCK_TOLERANCE_MS } from "@switchboard/contract/token";
import { SessionRevokedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import type { TokensSchema } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import type { Transaction } from "@switchboard/kernel/database/database";
import { hashSecret, newRefreshToken, successorOf, tokenIdOf } from "../rules/secrets.ts";
import { endOfSession, expiryAfterUse, type SessionLimits } from "../rules/session-lifetime.ts";
import { networkOf } from "../rules/sign-in-limits.ts";
import { type Account, lockOpenAccount } from "../store/accounts.ts";
import { rememberNetwork } from "../store/password-tries.ts";
import { insertRevocations } from "../store/revocations.ts";
import {
  consumeRefreshToken,
  extendSession,
  insertRefreshToken,
  insertSession,
  lockSessionOf,
  type Session,
  useTimeOf,
} from "../store/sessions.ts";
import type { TokenIssuer } from "./token-issuer.ts";

type Tokens = MessageInitShape<typeof TokensSchema>;

export interface SessionsOptions {
  readonly limits: SessionLimits & { readonly refreshGraceMs: number };
  readonly tokens: TokenIssuer;
  /** Makes refresh tokens' successors; 32 bytes. */
  readonly successorKey: Uint8Array;
  now(): number;
}

export interface Device {
  readonly userAgent: string;
  readonly address: string;
}

/** What a refresh token turned out to be. */
export type Refreshed =
  | { readonly outcome: "tokens"; readonly session: Session; readonly tokens: Tokens }
  | { readonly outcome: "reused"; readonly session: Session }
  | { readonly outcome: "unknown" };

export class Sessions {
  readonly #options: SessionsOptions;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /**
   * Opens a session for an account whose password was checked.
   * @throws AppError WRONG_CREDENTIALS where it may no longer sign in, CONFLICT where its password has just changed.
   */
  async open(tx: Transaction, { userId, passwordHash }: Account, device: Device): Promise<Tokens> {
    const account = await lockOpenAccount(tx.queries, userId);
    if (account === undefined) throw wrongCredentials();
    if (account.passwordHash !== passwordHash) {
      throw new AppError("CONFLICT", "the password was changed at the same moment; sign in again");
    }
    const { limits, successorKey } = this.#options;
    const now = this.#options.now();
    const endTime = endOfSession(now, limits);
    const session: Session = {
      sessionId: newId(),
      userId,
      createTime: new Date(now),
      lastUseTime: new Date(now),
      expireTime: new Date(expiryAfterUse(now, endTime, limits)),
      endTime: new Date(endTime),
      ...device,
    };
    const refreshToken = newRefreshToken();
    await insertSession(tx.queries, session, hashSecret(refreshToken));
    await rememberNetwork(tx.queries, userId, networkOf(device.address), new Date(now));
    return this.#tokens(session, refreshToken, tokenIdOf(refreshToken, successorKey), now);
  }

  /** Exchanges a refresh token. Within the grace a used one gives the very same answer again. */
  async refresh(tx: Transaction, refreshToken: string): Promise<Refreshed> {
    const { limits, successorKey } = this.#options;
    const now = this.#options.now();
    const hash = hashSecret(refreshToken);
    const session = await lockSessionOf(tx.queries, hash);
    if (session === undefined || session.expireTime.getTime() <= now) return { outcome: "unknown" };
    const successor = successorOf(refreshToken, successorKey);
    const tokenId = tokenIdOf(successor, successorKey);
    if (await consumeRefreshToken(tx.queries, hash, new Date(now))) {
      const expireTime = new Date(expiryAfterUse(now, session.endTime.getTime(), limits));
      const used = { ...session, lastUseTime: new Date(now), expireTime };
      await extendSession(tx.queries, session.sessionId, used);
      await insertRefreshToken(tx.queries, session.sessionId, hashSecret(successor));
      return { outcome: "tokens", session, tokens: await this.#tokens(used, successor, tokenId, now) };
    }
    const useTime = (await useTimeOf(tx.queries, hash))?.getTime() ?? 0;
    if (now - useTime > limits.refreshGraceMs) return { outcome: "reused", session };
    return { outcome: "tokens", session, tokens: await this.#tokens(session, successor, tokenId, useTime) };
  }

  /** Makes every verifier refuse the access tokens of sessions and keys that were removed in this transaction. */
  async revoke(tx: Transaction, userId: string, credentialIds: readonly string[]): Promise<void> {
    const expireTime = this.#options.now() + ACCESS_TOKEN_TTL_MS + CLOCK_TOLERANCE_MS;
    for (const revocation of await insertRevocations(tx.queries, credentialIds, new Date(expireTime))) {
      const { credentialId, sequence } = revocation;
      const fact = { userId, credentialId, sequence, expireTime: timestampFromMs(expireTime) };
      await tx.publish(SessionRevokedSchema, fact, userId);
    }
  }

  async #tokens(session: Session, refreshToken: string, tokenId: string, issueTime: number): Promise<Tokens> {
    const access = await this.#options.tokens.accessToken({
      userId: session.userId,
      credentialId: session.sessionId,
      viaApiKey: false,
      tokenId,
      issueTime,
      notAfter: session.endTime.getTime(),
    });
    return {
      accessToken: access.token,
      accessTokenExpireTime: timestampFromMs(access.expireTime),
      refreshToken,
      refreshTokenExpireTime: timestampFromMs(session.expireTime.getTime()),
    };
  }
}

export function wrongCredentials(): AppError {
  return new AppError("WRONG_CREDENTIALS", "the e-mail or the password is wrong, or the account may not sign in");
}
