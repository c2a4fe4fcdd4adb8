/**
 * The signing keys of the moment: opened, kept in memory, read again every minute. Keys are published an hour before they
 * sign, so that an instance that has read them within that hour changes over at the same moment as all others.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { AppError } from "@switchboard/contract/app-error";
import type { Database } from "@switchboard/kernel/database/database";
import { calculateJwkThumbprint } from "jose";
import { keyChanges, signingKeyAt } from "../rules/key-schedule.ts";
import {
  deleteSigningKeys,
  insertSigningKey,
  listSigningKeys,
  lockSigningKeys,
  type SealedKey,
} from "../store/signing-keys.ts";
import { seal, unseal } from "./key-seal.ts";

const REFRESH_MS = 60_000;

export interface SigningKey {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  /** The public key (RFC 8037), base64url. */
  readonly x: string;
  readonly privateKey: KeyObject;
  /** Unix milliseconds. */
  readonly activateTime: number;
}

export interface SigningKeysOptions {
  readonly database: Database;
  readonly rotationMs: number;
  /** 32 bytes. */
  readonly sealKey: Uint8Array;
  now(): number;
}

export class SigningKeys {
  readonly #options: SigningKeysOptions;
  #keys: readonly SigningKey[] = [];
  #readTime = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #problem: string | undefined = "the signing keys are not read yet";

  constructor(options: SigningKeysOptions) {
    this.#options = options;
  }

  /** The key that signs what is issued at a time. @throws AppError AUTH_UNAVAILABLE where there is none yet. */
  async at(time: number): Promise<SigningKey> {
    const key = signingKeyAt(await this.#current(), time);
    if (key === undefined) throw new AppError("AUTH_UNAVAILABLE", "there is no signing key yet; try again");
    return key;
  }

  /** All that verifiers must know: the ones that signed until lately, and the one that will sign next. */
  published(): Promise<readonly SigningKey[]> {
    return this.#current();
  }

  /** Makes, publishes and forgets keys as their schedule says. Instances that do it at once take turns. */
  async rotate(): Promise<void> {
    const { database, rotationMs, now } = this.#options;
    await database.transaction({ actor: "service:auth", trace: undefined }, async ({ queries }) => {
      await lockSigningKeys(queries);
      const rows = await listSigningKeys(queries);
      const keys = rows.map((row) => ({ kid: row.kid, activateTime: row.activateTime.getTime() }));
      const { newKeyActivateTime, expiredKids } = keyChanges(keys, rotationMs, now());
      if (newKeyActivateTime !== undefined) await insertSigningKey(queries, await this.#make(newKeyActivateTime));
      if (expiredKids.length > 0) await deleteSigningKeys(queries, expiredKids);
    });
    await this.#read();
  }

  /** Undefined: there are keys. */
  problem(): string | undefined {
    return this.#problem;
  }

  async #current(): Promise<readonly SigningKey[]> {
    if (this.#options.now() - this.#readTime < REFRESH_MS) return this.#keys;
    try {
      await (this.#keys.length === 0 ? this.rotate() : this.#read());
    } catch (error) {
      // While the database is away, the keys that are known go on.
      if (this.#keys.length === 0) throw error;
    }
    return this.#keys;
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readNow(): Promise<void> {
    const { database, now } = this.#options;
    const startTime = now();
    const rows = await listSigningKeys(database.queries);
    const known = new Map(this.#keys.map((key) => [key.kid, key]));
    this.#keys = rows.map((row) => known.get(row.kid) ?? this.#open(row));
    this.#readTime = startTime;
    this.#problem = undefined;
  }

  #open({ kid, publicX, sealedPrivateKey, activateTime }: SealedKey): SigningKey {
    try {
      const key = Buffer.from(unseal(sealedPrivateKey, this.#options.sealKey, kid));
      const privateKey = createPrivateKey({ key, format: "der", type: "pkcs8" });
      return { kid, x: publicX, privateKey, activateTime: activateTime.getTime() };
    } catch (cause) {
      this.#problem =
        "the signing keys cannot be opened with SWITCHBOARD_AUTH_KEY_ENCRYPTION_SECRET: set the one they were sealed with";
      throw new AppError("AUTH_UNAVAILABLE", "tokens cannot be issued at the moment", { cause });
    }
  }

  async #make(activateTime: number): Promise<SealedKey> {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const jwk = publicKey.export({ format: "jwk" });
    const kid = await calculateJwkThumbprint(jwk);
    const plain = privateKey.export({ format: "der", type: "pkcs8" });
    return {
      kid,
      publicX: String(jwk.x),
      sealedPrivateKey: seal(plain, this.#options.sealKey, kid),
      createTime: new Date(this.#options.now()),
      activateTime: new Date(activateTime),
    };
  }
}
