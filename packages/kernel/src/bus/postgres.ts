/**
 * The bus in PostgreSQL: the embedded driver. The server keeps events for 7 days in topics of 16 partitions; every
 * statement here is a call of a function in the schema `bus`, which derives from the connection's role who calls.
 */
import { AppError } from "@switchboard/contract/app-error";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { Logger } from "pino";
import type { Parameter } from "../database/connection.ts";
import { ConnectionPool } from "../database/connection-pool.ts";
import { isConnectionFailure } from "../database/failure.ts";
import type { BroadcastOptions, Bus, ConsumeOptions, DeadLetter, ReplayRange, Subscription } from "./bus.ts";
import { BroadcastParticipant } from "./postgres/broadcast.ts";
import { columnsOf, type EventRow, envelopeOf } from "./postgres/event-row.ts";
import { GroupParticipant } from "./postgres/group.ts";
import { type Participant, Session } from "./postgres/session.ts";
import { requirePublishable } from "./publishable.ts";

export interface PostgresBusOptions {
  /** As the role of the service. */
  readonly url: string;
  /** The service's name: its topic. */
  readonly service: string;
  readonly log: Logger;
}

const POOL_SIZE = 2;
const STATEMENT_TIMEOUT_MS = 30_000;
const PURGE_EVERY_MS = 3_600_000;
const DEFAULTS = { batchSize: 1, concurrency: 8, maxAttempts: 10 };
const MAX_BATCH_SIZE = 256;

interface DeadLetterRow extends EventRow {
  readonly dead_letter_id: string;
  readonly attempts: number;
  readonly error: string;
  readonly bury_time_ms: number;
}

/** Connects at once and keeps trying: PostgreSQL need not be there yet. */
export function openPostgresBus({ url, service, log }: PostgresBusOptions): Bus {
  const common = { url, applicationName: `${service} bus` };
  const pool = new ConnectionPool({ ...common, statementTimeoutMs: STATEMENT_TIMEOUT_MS }, POOL_SIZE);
  const session = new Session(common, log);
  const participants = new Map<Participant, Subscription>();
  const purge = setInterval(() => {
    pool.use((connection) => connection.query("select bus.purge()")).catch(() => {});
  }, PURGE_EVERY_MS).unref();

  const call = async <R extends object>(text: string, parameters: readonly Parameter[]): Promise<readonly R[]> => {
    try {
      return await pool.use((connection) => connection.query<R>(text, parameters));
    } catch (cause) {
      if (!isConnectionFailure(cause)) throw cause;
      throw new AppError("SERVICE_UNAVAILABLE", "the bus cannot be reached at the moment", { cause });
    }
  };
  const subscribe = (participant: Participant & Subscription): Subscription => {
    const subscription = {
      async end() {
        await participant.end();
        session.remove(participant);
        participants.delete(participant);
      },
    };
    participants.set(participant, subscription);
    session.add(participant);
    return subscription;
  };

  return {
    async publish(events: readonly EventEnvelope[]): Promise<void> {
      if (events.length === 0) return;
      for (const event of events) {
        requirePublishable(event);
        if (event.source === service) continue;
        throw new AppError(
          "PERMISSION_DENIED",
          `${service} publishes into its own topic only, not as "${event.source}"`,
        );
      }
      await call("select bus.publish($1, $2, $3, $4, $5, $6, $7)", columnsOf(events));
    },

    async consume(options: ConsumeOptions): Promise<Subscription> {
      const complete = { ...DEFAULTS, ...options };
      if (complete.batchSize > MAX_BATCH_SIZE) throw new RangeError(`batchSize is at most ${MAX_BATCH_SIZE}`);
      const participant = new GroupParticipant(complete, service, pool, log);
      const subscription = subscribe(participant);
      await Promise.race([participant.balanced, session.failed]);
      return subscription;
    },

    async broadcast(options: BroadcastOptions): Promise<Subscription> {
      const participant = new BroadcastParticipant(options, pool, log);
      const subscription = subscribe(participant);
      await Promise.race([participant.positioned, session.failed]);
      participant.promise();
      return subscription;
    },

    async listDeadLetters(group: string, limit: number): Promise<readonly DeadLetter[]> {
      const rows = await call<DeadLetterRow>("select * from bus.list_dead_letters($1, $2)", [group, limit]);
      return rows.map((row) => ({
        deadLetterId: row.dead_letter_id,
        group,
        event: envelopeOf(row),
        attempts: row.attempts,
        error: row.error,
        time: row.bury_time_ms,
      }));
    },

    async redrive(group: string, deadLetterId: string): Promise<boolean> {
      const [row] = await call<{ found: boolean }>("select bus.redrive($1, $2) as found", [group, deadLetterId]);
      return row?.found ?? false;
    },

    async replay({ group, topic, fromTime, toTime }: ReplayRange): Promise<string> {
      const parameters = [group, topic, fromTime, toTime];
      const [row] = await call<{ id: string }>("select bus.replay($1, $2, $3, $4) as id", parameters);
      return row?.id ?? "";
    },

    async lag(group: string): Promise<number> {
      const [row] = await call<{ lag: string }>("select bus.lag($1) as lag", [group]);
      return Number(row?.lag ?? 0);
    },

    problem: () => session.problem,

    async [Symbol.asyncDispose]() {
      clearInterval(purge);
      await Promise.all([...participants.values()].map((subscription) => subscription.end()));
      await session[Symbol.asyncDispose]();
      await pool[Symbol.asyncDispose]();
    },
  };
}
