/** Makes and checks password hashes on libuv's threads, a few at a time, so that sign-ins do not starve everything else. */
import { argon2, type Argon2Parameters as NodeParameters, randomBytes, timingSafeEqual } from "node:crypto";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { AppError } from "@switchboard/contract/app-error";
import { formatPasswordHash, PARAMETERS, type PasswordHash, parsePasswordHash } from "../rules/password-hash.ts";
import { normalizePassword } from "../rules/password-rule.ts";

const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** One of libuv's four threads is left to files and names. Each hash holds 19 MiB while it runs. */
const AT_ONCE = Math.min(3, availableParallelism());
/** A few seconds of waiting. More callers than that would only time out. */
const WAITING_MAX = 128;

const run = promisify(
  (parameters: NodeParameters, done: (error: Error | null, hash: Buffer) => void): void =>
    void argon2("argon2id", parameters, done),
);

export class Passwords {
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  /** Nobody's: what a password is compared with where there is no account, so that it takes as long. */
  readonly #nobodys = formatPasswordHash({
    ...PARAMETERS,
    salt: randomBytes(SALT_BYTES),
    hash: randomBytes(HASH_BYTES),
  });

  /** A PHC string. @throws AppError OVERLOADED */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    return formatPasswordHash({ ...PARAMETERS, salt, hash: await this.#derive(password, { ...PARAMETERS, salt }) });
  }

  /** Whether the password is the hash's. Undefined hash: never, after the same work. @throws AppError OVERLOADED */
  async matches(password: string, stored: string | undefined): Promise<boolean> {
    const expected = parsePasswordHash(stored ?? this.#nobodys);
    const actual = await this.#derive(password, expected);
    return timingSafeEqual(actual, expected.hash) && stored !== undefined;
  }

  async #derive(password: string, parameters: Omit<PasswordHash, "hash">): Promise<Buffer> {
    await this.#turn();
    try {
      return await run({
        message: normalizePassword(password),
        nonce: parameters.salt,
        memory: parameters.memoryKiB,
        passes: parameters.passes,
        parallelism: parameters.parallelism,
        tagLength: HASH_BYTES,
      });
    } finally {
      const next = this.#waiting.shift();
      // Whoever waits takes over this place.
      if (next) next();
      else this.#running--;
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < AT_ONCE) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= WAITING_MAX) {
      throw new AppError("OVERLOADED", "too many passwords are being checked; try again", { retryAfterMs: 1000 });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
  }
}
