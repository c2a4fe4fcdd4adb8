/** Opaque secrets: how they are made, what is stored of them, and what follows a refresh token. */
import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";
import { API_KEY_PREFIX } from "@switchboard/contract/token";

const BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const API_KEY = new RegExp(`^${API_KEY_PREFIX}([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{6})$`);
const SHOWN_LENGTH = 12;

/** 256 random bits, base64url. */
export function newRefreshToken(): string {
  return randomBytes(BYTES).toString("base64url");
}

/** `sbk_`, 256 random bits, a CRC-32: base64url. The checksum lets scanners and Auth tell a key from anything else. */
export function newApiKeySecret(): string {
  const random = randomBytes(BYTES).toString("base64url");
  return `${API_KEY_PREFIX}${random}${checksum(random)}`;
}

export function isRefreshToken(text: string): boolean {
  return TOKEN.test(text);
}

export function isApiKeySecret(text: string): boolean {
  const [, random = "", sum] = API_KEY.exec(text) ?? [];
  return sum !== undefined && sum === checksum(random);
}

/** What the key's owner recognizes it by. */
export function shownPrefix(secret: string): string {
  return secret.slice(0, SHOWN_LENGTH);
}

/** What is stored. The secrets have 256 bits, so that a plain hash cannot be reversed. */
export function hashSecret(secret: string): Uint8Array {
  return createHash("sha256").update(secret).digest();
}

/** Whether a secret has that hash; takes the same time for every secret. */
export function matchesHash(secret: string, hash: Uint8Array): boolean {
  return timingSafeEqual(hashSecret(secret), hash);
}

/** A key for one purpose out of the deployment's secret (RFC 5869). */
export function deriveKey(secret: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "", `switchboard auth ${purpose}`, BYTES));
}

/** The token that follows one: made again from it whenever needed, and never stored. */
export function successorOf(token: string, key: Uint8Array): string {
  return createHmac("sha256", key).update(`successor ${token}`).digest("base64url");
}

/** The `jti` of the access token that a refresh token is exchanged for, so that the same answer can be given again. */
export function tokenIdOf(token: string, key: Uint8Array): string {
  return createHmac("sha256", key).update(`jti ${token}`).digest("base64url").slice(0, 22);
}

function checksum(random: string): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(random));
  return sum.toString("base64url");
}
