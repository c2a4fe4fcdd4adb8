/** A Lua script on the server: by its hash, and by its text where the server does not know it (a restart, SCRIPT FLUSH). */
import { hash } from "node:crypto";
import type { RedisClient } from "./client.ts";
import { isUnknownScript } from "./failure.ts";

export type ScriptArgument = Buffer | string | number;

export class Script {
  readonly #text: string;
  readonly #hash: string;

  constructor(text: string) {
    this.#text = text;
    this.#hash = hash("sha1", text);
  }

  /** One that the server did not know has done nothing: running it again is not repeating it. */
  async run(client: RedisClient, keys: readonly Buffer[], ...rest: readonly ScriptArgument[]): Promise<unknown> {
    try {
      return await client.evalsha(this.#hash, keys.length, ...keys, ...rest);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return client.eval(this.#text, keys.length, ...keys, ...rest);
    }
  }
}
