/** The bus's standing connection: hears the hints, and its life is that of the process's memberships in groups. */
import type { Logger } from "pino";
import type { Connection, ConnectionOptions } from "../../database/connection.ts";
import { Connection as StandingConnection } from "../../database/connection.ts";
import { withReconnecting } from "../../database/reconnecting.ts";

/** Somebody who works while the connection stands. */
export interface Participant {
  /** Called with every new connection; resolves when it is lost, or the participant has ended. */
  attend(connection: Connection): Promise<void>;
  /** Something was published into a topic. */
  published(topic: string): void;
  /** Something changed for a group: "service/group". */
  regrouped(group: string): void;
}

export class Session implements AsyncDisposable {
  readonly #participants = new Map<Participant, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #connection: Connection | undefined;
  #failed = Promise.withResolvers<void>();
  problem: string | undefined = "the bus is not connected yet";

  constructor(options: ConnectionOptions, log: Logger) {
    this.#running = withReconnecting({
      connect: () => new StandingConnection(options),
      work: (connection) => this.#work(connection),
      failed: () => {
        this.problem = "the bus cannot be reached";
        this.#failed.resolve();
      },
      stop: this.#stop.signal,
      log,
      name: "bus",
    });
  }

  /** Resolves when the connection is lost, or could not be made; at once where it is away. */
  get failed(): Promise<void> {
    return this.#failed.promise;
  }

  add(participant: Participant): void {
    this.#participants.set(participant, Promise.resolve());
    if (this.#connection) this.#start(participant, this.#connection);
  }

  remove(participant: Participant): void {
    this.#participants.delete(participant);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#connection?.[Symbol.asyncDispose]();
    await this.#running;
    await Promise.all(this.#participants.values());
  }

  async #work(connection: Connection): Promise<void> {
    const lost = new Promise<void>((resolve) => {
      connection.lost.addEventListener("abort", () => resolve(), { once: true });
    });
    await connection.listen("bus", (topic) => {
      for (const participant of this.#participants.keys()) participant.published(topic);
    });
    await connection.listen("bus_group", (group) => {
      for (const participant of this.#participants.keys()) participant.regrouped(group);
    });
    this.#connection = connection;
    this.problem = undefined;
    this.#failed = Promise.withResolvers();
    for (const participant of this.#participants.keys()) this.#start(participant, connection);
    await lost;
    this.#connection = undefined;
    throw connection.lost.reason;
  }

  /** One connection after the other: what the last one left under way ends first. */
  #start(participant: Participant, connection: Connection): void {
    const before = this.#participants.get(participant);
    const attending = Promise.resolve(before).then(async () => {
      if (!connection.lost.aborted) await participant.attend(connection);
    });
    this.#participants.set(participant, attending);
  }
}
