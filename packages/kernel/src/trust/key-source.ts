/** The public keys that tokens are verified with, by `kid`: loaded from Auth, kept while Auth is away. */
import { importJWK } from "jose";
import type { Logger } from "pino";
import { startRepeating } from "./repeating.ts";

/** An Ed25519 public key (RFC 8037), as JWKs write it. */
export interface PublicJwk {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly kid: string;
}

export interface KeySource extends AsyncDisposable {
  /** The key of a token, or a promise of it where its kid is new and the keys are read again; undefined: no such key. */
  find(kid: string): CryptoKey | undefined | Promise<CryptoKey | undefined>;
  /** Whether keys were ever loaded: before, nothing can be said about any token. */
  loaded(): boolean;
  /** Undefined: working. Otherwise what it lacks, for readiness. */
  problem(): string | undefined;
}

export interface KeySourceOptions {
  /** Reads all keys. Must end in bounded time. */
  readonly fetch: () => Promise<readonly PublicJwk[]>;
  readonly now: () => number;
  readonly log: Logger;
  /** How often the keys are read without cause. Default 5 min: Auth announces a new key longer than that before it signs. */
  readonly refreshMs?: number;
  /** How soon after a reading an unknown kid may cause another: made-up kids must not become load. Default 5 s. */
  readonly cooldownMs?: number;
}

export function openKeySource(options: KeySourceOptions): KeySource {
  const { fetch, now, log, refreshMs = 300_000, cooldownMs = 5_000 } = options;
  let keys: ReadonlyMap<string, CryptoKey> | undefined;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;

  const read = (): Promise<void> => {
    reading ??= (async () => {
      attemptedAt = now();
      try {
        keys = await importKeys(await fetch());
      } finally {
        reading = undefined;
      }
    })();
    return reading;
  };
  const repeating = startRepeating({
    run: read,
    everyMs: refreshMs,
    onError: (error) => log.warn({ err: error }, "the keys of tokens cannot be read"),
  });

  const findAgain = async (kid: string): Promise<CryptoKey | undefined> => {
    // The failure is told by the repeated reading; here the last known keys are the answer.
    await read().catch(() => undefined);
    return keys?.get(kid);
  };
  return {
    find(kid) {
      const key = keys?.get(kid);
      if (key !== undefined) return key;
      const again = reading !== undefined || now() - attemptedAt >= cooldownMs;
      return again ? findAgain(kid) : undefined;
    },
    loaded: () => keys !== undefined,
    problem: () => (keys === undefined ? "the keys of tokens have not been loaded from Auth" : undefined),
    [Symbol.asyncDispose]: () => repeating.end(),
  };
}

/** Keys that are known once and for all, for tests. */
export async function staticKeys(jwks: readonly PublicJwk[]): Promise<KeySource> {
  const keys = await importKeys(jwks);
  return {
    find: (kid) => keys.get(kid),
    loaded: () => true,
    problem: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Keys of other kinds are passed over: they verify nothing here. */
async function importKeys(jwks: readonly PublicJwk[]): Promise<ReadonlyMap<string, CryptoKey>> {
  const keys = new Map<string, CryptoKey>();
  for (const { kty, crv, x, kid } of jwks) {
    if (kty !== "OKP" || crv !== "Ed25519" || kid === "") continue;
    const key = await importJWK({ kty, crv, x }, "EdDSA");
    if (!(key instanceof Uint8Array)) keys.set(kid, key);
  }
  return keys;
}
