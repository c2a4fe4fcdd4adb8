/** What a member of a group asks of the server; each function of ours is one of `0003-groups.sql` or `0004-retries.sql`. */
import type { Connection } from "../../database/connection.ts";
import type { ConnectionPool } from "../../database/connection-pool.ts";
import type { EventRow } from "./event-row.ts";

export interface ShareRow {
  readonly topic: string;
  readonly partition: number;
  readonly next_offset: string;
  readonly keep: boolean;
}

export interface ReadRow extends EventRow {
  readonly partition: number;
  readonly offset: string;
  /** Events of its key wait for a retry. */
  readonly held_back: boolean;
}

export interface WaitingRow extends EventRow {
  readonly waiting_id: string;
  readonly replay_id: string;
  readonly attempts: number;
  readonly partition: number;
  readonly offset: string;
}

/** A place in a partition. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

export interface Failure extends Position {
  readonly replayId: string;
  readonly error: string;
  readonly maxAttempts: number;
  /** Later events of the same key that the member had taken. */
  readonly behind: readonly bigint[];
}

export type FailOutcome = { readonly dueInMs: number } | "buried" | "lost";

export class GroupStore {
  readonly #pool: ConnectionPool;
  readonly #connection: Connection;
  readonly #group: string;
  readonly #member: number;

  /** Takes part; on the standing connection, whose end is the member's. */
  static async join(
    connection: Connection,
    pool: ConnectionPool,
    group: string,
    topics: readonly string[] | "*",
  ): Promise<GroupStore> {
    const rows = await connection.query<{ id: number }>("select bus.join_group($1, $2) as id", [
      group,
      topics === "*" ? null : topics,
    ]);
    return new GroupStore(connection, pool, group, rows[0]?.id ?? 0);
  }

  private constructor(connection: Connection, pool: ConnectionPool, group: string, member: number) {
    this.#connection = connection;
    this.#pool = pool;
    this.#group = group;
    this.#member = member;
  }

  balance(): Promise<readonly ShareRow[]> {
    return this.#call<ShareRow>("select * from bus.balance($1, $2)", [this.#group, this.#member]);
  }

  async give(shares: readonly Omit<Position, "offset">[]): Promise<void> {
    await this.#call("select bus.give_share($1, $2, $3, $4)", [this.#group, this.#member, ...placesOf(shares)]);
  }

  async leave(): Promise<void> {
    await this.#connection.query("select bus.leave_group($1, $2)", [this.#group, this.#member]);
  }

  async advance(positions: readonly Position[]): Promise<void> {
    await this.#call("select bus.advance($1, $2, $3, $4, $5)", this.#withOffsets(positions));
  }

  read(positions: readonly Position[], limit: number): Promise<readonly ReadRow[]> {
    const offsets = positions.map(({ offset }) => String(offset));
    const parameters = [this.#group, ...placesOf(positions), offsets, limit];
    return this.#call<ReadRow>("select * from bus.read($1, $2, $3, $4, $5)", parameters);
  }

  due(taken: readonly string[], limit: number): Promise<readonly WaitingRow[]> {
    return this.#call<WaitingRow>("select * from bus.due($1, $2, $3, $4)", [this.#group, this.#member, taken, limit]);
  }

  /** When the event is due again, that it is a dead letter now, or that the partition is no longer this member's. */
  async fail({ topic, partition, offset, replayId, error, maxAttempts, behind }: Failure): Promise<FailOutcome> {
    const rows = await this.#call<{ due_in_ms: number | null }>(
      "select due_in_ms from bus.fail($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      [this.#group, this.#member, topic, partition, String(offset), replayId, error, maxAttempts, behind.map(String)],
    );
    const [row] = rows;
    if (row === undefined) return "lost";
    return row.due_in_ms === null ? "buried" : { dueInMs: row.due_in_ms };
  }

  async holdBack(positions: readonly Position[]): Promise<void> {
    await this.#call("select bus.hold_back($1, $2, $3, $4, $5)", this.#withOffsets(positions));
  }

  async settle(waitingIds: readonly string[]): Promise<void> {
    await this.#call("select bus.settle($1, $2)", [this.#group, waitingIds]);
  }

  #withOffsets(positions: readonly Position[]) {
    return [this.#group, this.#member, ...placesOf(positions), positions.map(({ offset }) => String(offset))];
  }

  #call<R extends object>(text: string, parameters: Parameters<Connection["query"]>[1]): Promise<readonly R[]> {
    return this.#pool.use((connection) => connection.query<R>(text, parameters));
  }
}

function placesOf(places: readonly Omit<Position, "offset">[]): [string[], number[]] {
  return [places.map(({ topic }) => topic), places.map(({ partition }) => partition)];
}
