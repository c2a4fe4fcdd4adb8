/**
 * Verifies access tokens and service tokens (contract/token.ts; RFC 9068, RFC 8725). A token is verified once and then
 * remembered until it ends; whether its credential has been revoked is asked every time.
 */
import { AppError } from "@switchboard/contract/app-error";
import type { ServicePrincipal, UserPrincipal } from "@switchboard/contract/principal";
import {
  ACCESS_TOKEN,
  ALGORITHMS,
  CLOCK_TOLERANCE_MS,
  ISSUER,
  SERVICE_TOKEN_FORMAT,
} from "@switchboard/contract/token";
import { errors, type JWTPayload, jwtVerify } from "jose";
import { BoundedMap } from "./bounded-map.ts";
import type { KeySource } from "./key-source.ts";
import type { Revocations } from "./revocations.ts";

export interface TokenVerifier {
  /**
   * The user of an access token; at once where the token is known already.
   * @throws AppError TOKEN_INVALID, TOKEN_EXPIRED, CREDENTIAL_REVOKED, or AUTH_UNAVAILABLE while keys or revocations have
   *   never been loaded. Thrown, or in the promise.
   */
  verifyAccessToken(token: string): UserPrincipal | Promise<UserPrincipal>;
  /**
   * The service of a service token; at once where the token is known already.
   * @throws AppError SERVICE_TOKEN_INVALID, or AUTH_UNAVAILABLE while keys have never been loaded.
   */
  verifyServiceToken(token: string): ServicePrincipal | Promise<ServicePrincipal>;
}

/** Longer than any token of ours; a longer one is not looked at. */
const MAX_TOKEN_LENGTH = 4_096;
const REMEMBERED = 10_000;
const REMEMBERED_FAILURES = 1_000;

interface Known<P> {
  readonly principal: P;
  /** Unix milliseconds, the clocks' tolerance included. */
  readonly end: number;
}

interface Kind<P> {
  readonly typ: string;
  readonly audience: string;
  principalOf(claims: JWTPayload): P | undefined;
  invalid(cause: unknown): AppError;
  expired(cause: unknown): AppError;
}

const access: Kind<UserPrincipal> = {
  ...ACCESS_TOKEN,
  principalOf({ sub, sid, via }) {
    if (typeof sub !== "string" || sub === "" || typeof sid !== "string" || sid === "") return undefined;
    return { kind: "user", subject: `user:${sub}`, userId: sub, credentialId: sid, viaApiKey: via === "api_key" };
  },
  invalid: (cause) => new AppError("TOKEN_INVALID", "the access token is not valid; sign in again", { cause }),
  expired: (cause) => new AppError("TOKEN_EXPIRED", "the access token has expired; refresh it", { cause }),
};

const service: Kind<ServicePrincipal> = {
  ...SERVICE_TOKEN_FORMAT,
  principalOf({ sub }) {
    const name = sub && /^service:([a-z][a-z0-9_-]*)$/.exec(sub)?.[1];
    return name ? { kind: "service", subject: `service:${name}`, service: name } : undefined;
  },
  invalid: (cause) => new AppError("SERVICE_TOKEN_INVALID", "the service token is not valid", { cause }),
  expired: (cause) => new AppError("SERVICE_TOKEN_INVALID", "the service token has expired", { cause }),
};

export function createTokenVerifier(options: {
  readonly keys: KeySource;
  readonly revocations: Pick<Revocations, "isRevoked" | "stalenessMs">;
  readonly now: () => number;
}): TokenVerifier {
  const { keys, revocations, now } = options;
  const verifyAccess = createVerify(access, keys, now);
  const verifyService = createVerify(service, keys, now);

  const unrevoked = (user: UserPrincipal): UserPrincipal => {
    if (revocations.stalenessMs() === Number.POSITIVE_INFINITY) throw unavailable();
    if (!revocations.isRevoked(user.credentialId)) return user;
    throw new AppError("CREDENTIAL_REVOKED", "the session or API key of this token has ended; sign in again");
  };
  return {
    verifyAccessToken(token) {
      const user = verifyAccess(token);
      return user instanceof Promise ? user.then(unrevoked) : unrevoked(user);
    },
    verifyServiceToken: verifyService,
  };
}

function createVerify<P>(kind: Kind<P>, keys: KeySource, now: () => number): (token: string) => P | Promise<P> {
  const known = new BoundedMap<string, Known<P>>(REMEMBERED);
  const refused = new BoundedMap<string, AppError>(REMEMBERED_FAILURES);
  /** So that a burst of calls with a new token costs one signature. */
  const pending = new Map<string, Promise<P>>();

  const verify = async (token: string): Promise<P> => {
    try {
      const verified = await checkSignature(kind, token, keys, now());
      known.set(token, verified);
      return verified.principal;
    } catch (error) {
      const failure = errorOf(kind, error);
      // An unknown key may come to be known, and what cannot be told now can be told later; nothing else gets better.
      if (failure.reason !== "AUTH_UNAVAILABLE" && !(failure.cause instanceof errors.JWKSNoMatchingKey)) {
        refused.set(token, failure);
      }
      throw failure;
    } finally {
      pending.delete(token);
    }
  };
  return (token) => {
    const hit = known.get(token);
    if (hit !== undefined) {
      if (now() < hit.end) return hit.principal;
      known.delete(token);
      throw kind.expired(undefined);
    }
    if (token.length > MAX_TOKEN_LENGTH) throw kind.invalid(undefined);
    const failure = refused.get(token);
    if (failure !== undefined) throw failure;
    const underWay = pending.get(token) ?? verify(token);
    pending.set(token, underWay);
    return underWay;
  };
}

async function checkSignature<P>(kind: Kind<P>, token: string, keys: KeySource, now: number): Promise<Known<P>> {
  const { payload } = await jwtVerify(
    token,
    async ({ kid }) => {
      const key = kid === undefined ? undefined : await keys.find(kid);
      if (key !== undefined) return key;
      throw keys.loaded() ? new errors.JWKSNoMatchingKey() : unavailable();
    },
    {
      algorithms: [...ALGORITHMS],
      issuer: ISSUER,
      audience: kind.audience,
      typ: kind.typ,
      requiredClaims: ["sub", "exp", "iat", "jti"],
      clockTolerance: CLOCK_TOLERANCE_MS / 1000,
      currentDate: new Date(now),
    },
  );
  const principal = kind.principalOf(payload);
  if (principal === undefined || payload.exp === undefined) throw kind.invalid(undefined);
  return { principal, end: payload.exp * 1000 + CLOCK_TOLERANCE_MS };
}

function errorOf<P>(kind: Kind<P>, error: unknown): AppError {
  if (error instanceof AppError) return error;
  return error instanceof errors.JWTExpired ? kind.expired(error) : kind.invalid(error);
}

function unavailable(): AppError {
  return new AppError("AUTH_UNAVAILABLE", "tokens cannot be verified at the moment; try again");
}
