/**
 * API keys → short access tokens, exchanged through Auth and remembered until shortly before they expire. Neither keys
 * nor tokens leave this file in any other way than to the caller's own call.
 */
import { createHash } from "node:crypto";

export interface ExchangedKey {
  readonly accessToken: string;
  /** Unix milliseconds. */
  readonly expireTime: number;
}

export interface ApiKeys {
  /** The access token of a key. @throws what Auth answers: API_KEY_INVALID. */
  exchange(secret: string): Promise<string>;
  /** Its token was refused: ask Auth again. */
  forget(secret: string): void;
}

/** Exchanged anew this long before the token expires. */
const MARGIN_MS = 60_000;
const MAX_REMEMBERED = 10_000;

export function createApiKeys(options: {
  readonly exchangeApiKey: (secret: string) => Promise<ExchangedKey>;
  readonly now: () => number;
}): ApiKeys {
  const { exchangeApiKey, now } = options;
  /** By hash, so that a copy of this process's memory map does not list the keys. */
  const remembered = new Map<string, { readonly answer: Promise<ExchangedKey>; expireTime: number }>();

  return {
    async exchange(secret) {
      const key = hashOf(secret);
      const known = remembered.get(key);
      if (known && now() < known.expireTime - MARGIN_MS) return (await known.answer).accessToken;
      const answer = exchangeApiKey(secret);
      const entry = { answer, expireTime: Number.POSITIVE_INFINITY };
      remembered.delete(key);
      remembered.set(key, entry);
      const [oldest] = remembered.keys();
      if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
      try {
        const exchanged = await answer;
        entry.expireTime = exchanged.expireTime;
        return exchanged.accessToken;
      } catch (error) {
        if (remembered.get(key) === entry) remembered.delete(key);
        throw error;
      }
    },
    forget(secret) {
      remembered.delete(hashOf(secret));
    },
  };
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("base64");
}
