/**
 * The bus port: events between services, at least once, in order per key. A topic is the name of the service that
 * publishes into it; nobody can publish into another's. Drivers beside this file; their law in bus.law.ts.
 * Services do not use it directly: they publish through outbox.ts and handle through inbox.ts.
 */
import type { EventEnvelope } from "@switchboard/contract/event-envelope";

export interface ConsumeOptions {
  /** The consumers' common name: of all instances of a group, one gets each event. "auth", "audit". */
  readonly group: string;
  /** Topics to read, or "*" for all, those that come later included. A new group starts at the oldest event kept. */
  readonly topics: readonly string[] | "*";
  /**
   * Handles events. Events of one key come one after another; of different keys, side by side. Resolving means done;
   * rejecting means: again later (backoff from 100 ms to 30 s), after `maxAttempts` to the group's dead letters. A key
   * whose event waits for its retry holds back its own later events and nobody else's.
   * With `batchSize` > 1 it gets up to that many events at once, of any keys, in order per key; a rejected batch is
   * split and repeated event by event. Batches come one at a time.
   */
  readonly handle: (events: readonly EventEnvelope[], delivery: Delivery) => Promise<void>;
  /** Default 1. At most 256. */
  readonly batchSize?: number;
  /** Keys handled at once by this instance, where events come one by one. Default 8. */
  readonly concurrency?: number;
  /** Default 10. */
  readonly maxAttempts?: number;
}

export interface Delivery {
  readonly attempt: number;
  /** Empty, or the id of the replay that brings the event again: part of the inbox's key. */
  readonly replayId: string;
}

export interface BroadcastOptions {
  readonly topics: readonly string[];
  /** Every subscriber of every process gets every event published from now on. */
  readonly handle: (event: EventEnvelope) => void;
  /** Events may have been missed (a reconnect, an overflow): read the truth again. Called once after each gap. */
  readonly onGap: () => void;
}

export interface Subscription {
  /** Stops taking events, waits for the handlers under way, hands its share to the others of the group. */
  end(): Promise<void>;
}

/** An event that a group gave up on. */
export interface DeadLetter {
  readonly deadLetterId: string;
  readonly group: string;
  readonly event: EventEnvelope;
  readonly attempts: number;
  /** The last error's message. */
  readonly error: string;
  /** Unix milliseconds. */
  readonly time: number;
}

export interface ReplayRange {
  readonly group: string;
  readonly topic: string;
  /** Events that the bus took from this time on (inclusive), by the engine's clock. Unix milliseconds. */
  readonly fromTime: number;
  /** Up to this time (exclusive), Unix milliseconds. */
  readonly toTime: number;
}

export interface Bus extends AsyncDisposable {
  /**
   * Stores events in this credential's topic; resolves when they are safe. The order of one key within one call and
   * over calls one after another is kept. Publishing an id again is allowed and is delivered again.
   * @throws AppError INVALID_FIELD, REQUEST_TOO_LARGE for a key without 1 to 512 characters, for more than 900 KiB of data.
   * @throws AppError PERMISSION_DENIED for an event whose source is another service. Of these nothing is stored.
   * @throws AppError SERVICE_UNAVAILABLE where the engine is away; nothing, a part or all of it may have been stored.
   */
  publish(events: readonly EventEnvelope[]): Promise<void>;
  consume(options: ConsumeOptions): Promise<Subscription>;
  broadcast(options: BroadcastOptions): Promise<Subscription>;
  listDeadLetters(group: string, limit: number): Promise<readonly DeadLetter[]>;
  /** Gives a dead letter to its group again. False: there is none of that id. */
  redrive(group: string, deadLetterId: string): Promise<boolean>;
  /** Gives a group a range of past events again, beside new ones; resolves with the replay's id. */
  replay(range: ReplayRange): Promise<string>;
  /** How many events wait for a group. */
  lag(group: string): Promise<number>;
  problem(): string | undefined;
}
