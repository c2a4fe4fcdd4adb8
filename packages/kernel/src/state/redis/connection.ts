/**
 * Redis as commands that are answered or fail within a second. While it is away they fail at once, and one attempt after
 * another asks whether it is back; nothing queues, nothing is repeated.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { createClient, type RedisClient, type RedisClientOptions, TIMEOUT_MS } from "./client.ts";
import { RedisAway, redisFailure } from "./failure.ts";

/** How long a failure is told of while the connection stands: a full memory, a missing permission, a cluster's lost node. */
const TELL_MS = 2_000;
const CLOSE_MS = 500;
/** How many commands may wait for their answers at once: a server that answers slowly is not fed for ever. */
const MAX_UNANSWERED = 10_000;

export class RedisConnection implements AsyncDisposable {
  readonly #client: RedisClient;
  readonly #log: Logger;
  #connecting: Promise<void> | undefined;
  #tried = false;
  #ended = false;
  #unanswered = 0;
  #lost = false;
  /** Why there is no connection. */
  #failure: RedisAway | undefined;
  #refusal: { readonly problem: string; readonly end: number } | undefined;

  /** Connects with the first command. */
  constructor(options: RedisClientOptions, name: string, log: Logger) {
    this.#log = log;
    this.#client = createClient(options, name);
    this.#client.on("error", (error) => this.#note(error));
    this.#client.on("close", () => this.#leave());
    this.#client.on("ready", () => this.#return());
  }

  /** Undefined: Redis answers, as far as anybody knows. */
  problem(): string | undefined {
    if (!this.#tried) return undefined;
    if (this.#client.status !== "ready") return this.#away().problem;
    return this.#refusal && performance.now() < this.#refusal.end ? this.#refusal.problem : undefined;
  }

  /** @throws RedisAway, or Error where Redis refuses the command itself. */
  async run<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    if (this.#ended) throw new RedisAway("the connection to Redis was closed");
    if (!this.#tried) await this.#connect();
    if (this.#client.status !== "ready") throw this.#away();
    if (this.#unanswered >= MAX_UNANSWERED) throw new RedisAway("Redis owes too many answers");
    try {
      return await answeredInTime(this.#counted(work));
    } catch (error) {
      const failure = redisFailure(error);
      if (failure instanceof RedisAway) {
        this.#refusal = { problem: failure.problem, end: performance.now() + TELL_MS };
      }
      throw failure;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    const open = ["connecting", "connect", "ready"].includes(this.#client.status);
    // One that waits for its next attempt just ends, and says nothing.
    const closed = open ? once(this.#client, "end").catch(() => {}) : undefined;
    this.#client.disconnect();
    const late = new AbortController();
    await Promise.race([closed, delay(CLOSE_MS, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
  }

  /** The first attempt, for which commands wait. Whether it succeeded is the client's status. */
  #connect(): Promise<void> {
    this.#connecting ??= answeredInTime(this.#client.connect()).then(
      () => {
        this.#tried = true;
      },
      (error) => {
        this.#tried = true;
        // What the client told of is the reason: this says only that it closed the connection then.
        if (this.#failure === undefined) this.#note(error);
        this.#leave();
      },
    );
    return this.#connecting;
  }

  /** One whose answer is late counts until it comes, or the connection is given up. */
  async #counted<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    this.#unanswered++;
    try {
      return await work(this.#client);
    } finally {
      this.#unanswered--;
    }
  }

  #away(): RedisAway {
    return this.#failure ?? new RedisAway("there is no connection to Redis");
  }

  #note(error: unknown): void {
    const failure = redisFailure(error);
    this.#failure = failure instanceof RedisAway ? failure : new RedisAway(failure.message);
  }

  #leave(): void {
    if (this.#ended || this.#lost) return;
    this.#lost = true;
    this.#log.warn({ reason: this.#away().message }, "the state lost Redis");
  }

  #return(): void {
    this.#failure = undefined;
    this.#refusal = undefined;
    if (!this.#lost) return;
    this.#lost = false;
    this.#log.info({}, "the state has Redis again");
  }
}

function answeredInTime<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new RedisAway(`Redis did not answer within ${TIMEOUT_MS} ms`));
    const timer = setTimeout(late, TIMEOUT_MS);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
