/**
 * Argon2id hashes as PHC strings (https://github.com/P-H-C/phc-string-format): "$argon2id$v=19$m=19456,t=2,p=1$salt$hash".
 * Writing and reading them; the hashing itself is in `credentials/passwords.ts`.
 */

export interface Argon2Parameters {
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
}

export interface PasswordHash extends Argon2Parameters {
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** The OWASP Password Storage Cheat Sheet's first choice for Argon2id short of its 46 MiB one; about 50 ms of a core. */
export const PARAMETERS: Argon2Parameters = { memoryKiB: 19_456, passes: 2, parallelism: 1 };

/** Argon2 version 1.3, the only one that is written. */
const pattern = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

export function formatPasswordHash({ memoryKiB, passes, parallelism, salt, hash }: PasswordHash): string {
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${parallelism}$${base64(salt)}$${base64(hash)}`;
}

/** @throws Error where the text is no such hash. */
export function parsePasswordHash(text: string): PasswordHash {
  const match = pattern.exec(text);
  if (match === null) throw new Error("a stored password hash is no Argon2id PHC string");
  const [, memory, passes, parallelism, salt = "", hash = ""] = match;
  return {
    memoryKiB: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, "base64"),
    hash: Buffer.from(hash, "base64"),
  };
}

/** Whether a hash was made with other parameters than new ones are. */
export function isOutdated(text: string): boolean {
  const { memoryKiB, passes, parallelism } = parsePasswordHash(text);
  return memoryKiB !== PARAMETERS.memoryKiB || passes !== PARAMETERS.passes || parallelism !== PARAMETERS.parallelism;
}

/** PHC strings have no padding. */
function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("=", "");
}
