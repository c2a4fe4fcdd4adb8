/** A subscription of a group: a membership on each connection, one after the other. */
import type { Logger } from "pino";
import type { Connection } from "../../database/connection.ts";
import type { ConnectionPool } from "../../database/connection-pool.ts";
import { GroupStore } from "./group-store.ts";
import { type GroupOptions, Membership } from "./membership.ts";
import type { Participant } from "./session.ts";

export class GroupParticipant implements Participant {
  readonly #options: GroupOptions;
  readonly #name: string;
  readonly #pool: ConnectionPool;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #balanced = Promise.withResolvers<void>();
  #membership: Membership | undefined;
  #attending: Promise<void> = Promise.resolve();

  constructor(options: GroupOptions, service: string, pool: ConnectionPool, log: Logger) {
    this.#options = options;
    this.#name = `${service}/${options.group}`;
    this.#pool = pool;
    this.#log = log;
  }

  /** Resolves when it first holds its partitions. */
  get balanced(): Promise<void> {
    return this.#balanced.promise;
  }

  attend(connection: Connection): Promise<void> {
    this.#attending = this.#attend(connection);
    return this.#attending;
  }

  published(topic: string): void {
    this.#membership?.published(topic);
  }

  regrouped(group: string): void {
    if (group === this.#name) this.#membership?.regrouped();
  }

  /** Resolves when nothing is under way and the partitions are handed over. */
  async end(): Promise<void> {
    this.#stop.abort();
    this.#balanced.resolve();
    await this.#attending;
  }

  async #attend(connection: Connection): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { group, topics } = this.#options;
    try {
      const store = await GroupStore.join(connection, this.#pool, group, topics);
      this.#membership = new Membership(this.#options, store, connection, this.#stop.signal, this.#log);
      await this.#membership.run(() => this.#balanced.resolve());
    } catch (error) {
      if (connection.lost.aborted) return;
      // A new connection is the way to begin anew.
      this.#log.error({ err: error, group }, "joining the group failed");
      await connection[Symbol.asyncDispose]();
    } finally {
      this.#membership = undefined;
    }
  }
}
