/** The names of a service's keys in Redis: what its user may touch, and what must be in one slot of a cluster. */
import { hash } from "node:crypto";
import { keyBytes } from "../state-key.ts";

/** Of everything that a service keeps. The user that provisioning makes reaches nothing else. */
export function servicePrefix(service: string): string {
  return `switchboard:${service}:`;
}

export class RedisKeys {
  readonly #prefix: string;
  readonly #value: Buffer;
  readonly #limit: Buffer;

  constructor(service: string) {
    this.#prefix = servicePrefix(service);
    this.#value = Buffer.from(`${this.#prefix}value:`);
    this.#limit = Buffer.from(`${this.#prefix}limit:`);
  }

  /** @throws RangeError */
  value(key: string): Buffer {
    return Buffer.concat([this.#value, keyBytes(key)]);
  }

  limit(key: Uint8Array): Buffer {
    return Buffer.concat([this.#limit, key]);
  }

  /**
   * The lock, and the counter that its fence comes from. Counters are never removed, so there is none for each lock that
   * ever was: 256 buckets share theirs, and a bucket is one slot (its hash tag).
   * @throws RangeError
   */
  lock(key: string): readonly [lock: Buffer, fence: Buffer] {
    const bytes = keyBytes(key);
    const bucket = `${this.#prefix}{${hash("sha256", bytes).slice(0, 2)}}:`;
    return [Buffer.concat([Buffer.from(`${bucket}lock:`), bytes]), Buffer.from(`${bucket}fence`)];
  }
}
