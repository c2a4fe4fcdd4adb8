/**
 * The bus in Kafka: a topic for each service that publishes, a consumer group for each group, and two topics more for each
 * group: what it gets again, and what it gave up on. That nobody publishes into another's topic is checked here, and held
 * by Kafka where its operator gives rights (docs/adr/0005-kafka-client.md).
 */
import { setTimeout as delay } from "node:timers/promises";
import { AppError } from "@switchboard/contract/app-error";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { Logger } from "pino";
import type { BroadcastOptions, Bus, ConsumeOptions, DeadLetter, ReplayRange, Subscription } from "./bus.ts";
import { BroadcastParticipant } from "./kafka/broadcast.ts";
import { KafkaClient, type KafkaConnection } from "./kafka/client.ts";
import { DeadLetters } from "./kafka/dead-letters.ts";
import { messageOf } from "./kafka/event-message.ts";
import { publicFailure } from "./kafka/failure.ts";
import { GroupParticipant } from "./kafka/group.ts";
import { lagOf } from "./kafka/lag.ts";
import type { GroupTiming } from "./kafka/membership.ts";
import { KafkaNames } from "./kafka/names.ts";
import { Publisher } from "./kafka/publisher.ts";
import { Renewed } from "./kafka/renewed.ts";
import { replay } from "./kafka/replay.ts";
import { type TopicSettings, Topics } from "./kafka/topics.ts";
import { requirePublishable } from "./publishable.ts";

export interface KafkaBusOptions extends Partial<Omit<KafkaConnection, "brokers" | "clientId">> {
  readonly brokers: KafkaConnection["brokers"];
  /** The service's name: its topic. */
  readonly service: string;
  readonly log: Logger;
  /** What the names of topics and groups begin with. Default "switchboard". */
  readonly prefix?: string;
  /** Of topics that are made. Default: 16 partitions, on three brokers or as many as there are, for 7 days. */
  readonly topics?: Partial<TopicSettings>;
  /** Default: dead after 10 s, a heartbeat each second, a minute to hand over. */
  readonly timing?: Partial<GroupTiming>;
}

const DAY_MS = 86_400_000;
/** Less than INBOX_LIFETIME_DAYS, so that what comes again is known. */
const TOPICS: TopicSettings = { partitions: 16, replication: 0, retentionMs: 7 * DAY_MS };
const TIMING: GroupTiming = { sessionTimeoutMs: 10_000, heartbeatMs: 1_000, rebalanceTimeoutMs: 60_000 };
const DEFAULTS = { batchSize: 1, concurrency: 8, maxAttempts: 10 };
const MAX_BATCH_SIZE = 256;
const LOOK_EVERY_MS = 5_000;
/** While there is a problem. */
const LOOK_AGAIN_MS = 500;

/** Connects at once and keeps trying: Kafka need not be there yet. */
export function openKafkaBus(options: KafkaBusOptions): Bus {
  const { service, log, brokers, tls, sasl, connect, prefix = "switchboard" } = options;
  const client = new KafkaClient({ brokers, clientId: service, tls, sasl, connect }, log);
  const names = new KafkaNames(prefix, service);
  const admin = new Renewed(() => client.admin());
  const topics = new Topics(admin, { ...TOPICS, ...options.topics }, log);
  const publisher = new Publisher(client);
  const deadLetters = new DeadLetters(client, names, topics, publisher);
  const deps = { client, names, topics, publisher, deadLetters, timing: { ...TIMING, ...options.timing }, log };
  const participants = new Set<GroupParticipant | BroadcastParticipant>();
  const stop = new AbortController();
  const own = names.topic(service);
  let problem: string | undefined = "the bus is not connected yet";

  let made = false;
  const makeOwn = async () => {
    made ||= (await topics.ensure([own])).length > 0;
  };
  const look = async () => {
    while (!stop.signal.aborted) {
      try {
        made &&= await topics.has(own);
        await makeOwn();
        problem = made ? undefined : `the topic ${own} is missing`;
      } catch (error) {
        if (problem === undefined) log.warn({ err: error }, "the bus cannot be reached");
        problem = "the bus cannot be reached";
      }
      await delay(problem === undefined ? LOOK_EVERY_MS : LOOK_AGAIN_MS, undefined, { signal: stop.signal }).catch(
        () => {},
      );
    }
  };
  const looking = look();

  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw publicFailure(error);
    }
  };
  const subscribe = async (participant: GroupParticipant | BroadcastParticipant): Promise<Subscription> => {
    participants.add(participant);
    await participant.settled;
    return {
      async end() {
        await participant.end();
        participants.delete(participant);
      },
    };
  };

  return {
    async publish(events: readonly EventEnvelope[]): Promise<void> {
      for (const event of events) {
        requirePublishable(event);
        if (event.source === service) continue;
        throw new AppError(
          "PERMISSION_DENIED",
          `${service} publishes into its own topic only, not as "${event.source}"`,
        );
      }
      await call(async () => {
        await makeOwn();
        await publisher.send(own, events.map(messageOf));
      });
    },

    async consume(wanted: ConsumeOptions): Promise<Subscription> {
      const complete = { ...DEFAULTS, ...wanted };
      if (complete.batchSize > MAX_BATCH_SIZE) throw new RangeError(`batchSize is at most ${MAX_BATCH_SIZE}`);
      names.group(complete.group);
      return await subscribe(new GroupParticipant(complete, deps));
    },

    async broadcast(wanted: BroadcastOptions): Promise<Subscription> {
      const participant = new BroadcastParticipant(wanted, deps);
      const subscription = await subscribe(participant);
      participant.promise();
      return subscription;
    },

    listDeadLetters: (group: string, limit: number): Promise<readonly DeadLetter[]> =>
      call(() => deadLetters.list(group, limit)),

    redrive: (group: string, deadLetterId: string): Promise<boolean> =>
      call(() => deadLetters.redrive(group, deadLetterId)),

    replay: (range: ReplayRange): Promise<string> => call(() => replay(deps, range)),

    lag: (group: string): Promise<number> => call(() => admin.use((connected) => lagOf(connected, names.group(group)))),

    problem: () => problem ?? [...participants].find((participant) => participant.problem !== undefined)?.problem,

    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([...participants].map((participant) => participant.end()));
      await publisher[Symbol.asyncDispose]();
      await looking;
      await admin[Symbol.asyncDispose]();
    },
  };
}
