/**
 * A membership in a consumer group for one generation, as Kafka's classic group protocol has it: join, sync, heartbeats,
 * offsets, leave. It handles no event; unlike kafkajs's Consumer it joins again only when it is told to, so that what is
 * under way can end before somebody else gets the partitions.
 */
import type { Cluster } from "kafkajs";
import { ASSIGNER, assign, assignedTo, type Member, subscription, topicsOf } from "./assignment.ts";
import { failureType } from "./failure.ts";
import { endsOf } from "./reader.ts";
import { type Committed, shareKey } from "./share.ts";

export interface GroupTiming {
  /** A member that is not heard of for so long is taken for dead. At least the broker's group.min.session.timeout.ms. */
  readonly sessionTimeoutMs: number;
  /** Between two heartbeats; also how late a member hears that another wants its share. */
  readonly heartbeatMs: number;
  /** How long handlers under way may take when partitions move. Whoever takes longer loses them, and events come twice. */
  readonly rebalanceTimeoutMs: number;
}

/** What Kafka says of a membership: that it stands, that members are to join again, that it is over. */
export type Standing = "stands" | "rejoin" | "lost";

/** kafkajs's joinGroup, syncGroup, heartbeat and leaveGroup are there but not in its types. */
interface Coordinator {
  joinGroup(request: object): Promise<{ generationId: number; leaderId: string; memberId: string; members: Member[] }>;
  syncGroup(request: object): Promise<{ memberAssignment: Buffer }>;
  heartbeat(request: object): Promise<void>;
  leaveGroup(request: object): Promise<void>;
  offsetCommit(request: object): Promise<void>;
  offsetFetch(request: object): Promise<{
    responses: { topic: string; partitions: { partition: number; offset: string; metadata: string | null }[] }[];
  }>;
}

interface Place {
  readonly topic: string;
  readonly partition: number;
}

const OVER = new Set(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "FENCED_INSTANCE_ID"]);

/** What a failure of a request says of the membership; undefined: nothing. */
export function standingAfter(error: unknown): Standing | undefined {
  const type = failureType(error) ?? "";
  if (type === "REBALANCE_IN_PROGRESS") return "rejoin";
  return OVER.has(type) ? "lost" : undefined;
}

export class Membership {
  readonly memberId: string;
  readonly places: readonly Place[];
  readonly #cluster: Cluster;
  readonly #groupId: string;
  readonly #generation: number;
  /** Undefined: to be found. */
  #coordinator: Coordinator | undefined;
  /** One request after the other: kafkajs may open two connections where two requests find none. */
  #turn: Promise<unknown> = Promise.resolve();

  /** `memberId` is that of an earlier generation, or empty. */
  static async join(
    cluster: Cluster,
    groupId: string,
    topics: readonly string[],
    timing: GroupTiming,
    memberId: string,
  ): Promise<Membership> {
    const coordinator = await findCoordinator(cluster, groupId);
    for (let id = memberId; ; ) {
      const joined = await coordinator.joinGroup({
        groupId,
        sessionTimeout: timing.sessionTimeoutMs,
        rebalanceTimeout: timing.rebalanceTimeoutMs,
        memberId: id,
        groupProtocols: [{ name: ASSIGNER, metadata: subscription(topics) }],
      });
      id = joined.memberId;
      const generationId = joined.generationId;
      try {
        const groupAssignment = joined.leaderId === id ? await decide(cluster, joined.members) : [];
        const synced = await coordinator.syncGroup({ groupId, generationId, memberId: id, groupAssignment });
        return new Membership(cluster, groupId, id, generationId, assignedTo(synced.memberAssignment));
      } catch (error) {
        // Somebody else came meanwhile: again, and not as one more member.
        if (standingAfter(error) !== "rejoin") throw error;
      }
    }
  }

  private constructor(
    cluster: Cluster,
    groupId: string,
    memberId: string,
    generation: number,
    places: readonly Place[],
  ) {
    this.#cluster = cluster;
    this.#groupId = groupId;
    this.memberId = memberId;
    this.#generation = generation;
    this.places = places;
  }

  /** How far the group has come. Where it never was, that is the oldest event kept, and is committed, so that `lag` knows. */
  async offsets(): Promise<ReadonlyMap<string, Committed>> {
    if (this.places.length === 0) return new Map();
    const request = { groupId: this.#groupId, topics: byTopic(this.places) };
    const { responses } = await this.#ask((coordinator) => coordinator.offsetFetch(request));
    const known = new Map<string, Committed>();
    for (const { topic, partitions } of responses) {
      for (const { partition, offset, metadata } of partitions) {
        if (Number(offset) < 0) continue;
        known.set(shareKey({ topic, partition }), { offset: Number(offset), note: metadata ?? "" });
      }
    }
    const isNew = (place: Place) => !known.has(shareKey(place));
    const newTopics = [...new Set(this.places.filter(isNew).map(({ topic }) => topic))];
    if (newTopics.length === 0) return known;
    const starts = (await endsOf(this.#cluster, newTopics, "earliest")).filter(isNew);
    const mine = starts.filter((start) => this.places.some((place) => shareKey(place) === shareKey(start)));
    await this.commit(mine.map((start) => ({ ...start, note: "" })));
    for (const start of mine) known.set(shareKey(start), { offset: start.offset, note: "" });
    return known;
  }

  async commit(progress: readonly (Place & Committed)[]): Promise<void> {
    if (progress.length === 0) return;
    const topics = byTopic(progress).map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, offset, note }) => ({
        partition,
        offset: String(offset),
        metadata: note,
      })),
    }));
    await this.#ask((coordinator) => coordinator.offsetCommit({ ...this.#mine, topics }));
  }

  /** @throws where Kafka cannot be reached. */
  async heartbeat(): Promise<Standing> {
    try {
      await this.#ask((coordinator) => coordinator.heartbeat(this.#mine));
      return "stands";
    } catch (error) {
      const standing = standingAfter(error);
      if (standing === undefined) throw error;
      return standing;
    }
  }

  /** The others get its share at once. */
  async leave(): Promise<void> {
    const request = { groupId: this.#groupId, memberId: this.memberId };
    await this.#ask((coordinator) => coordinator.leaveGroup(request));
  }

  #ask<T>(work: (coordinator: Coordinator) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      try {
        this.#coordinator ??= await findCoordinator(this.#cluster, this.#groupId);
        return await work(this.#coordinator);
      } catch (error) {
        this.#coordinator = undefined;
        throw error;
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  get #mine() {
    return { groupId: this.#groupId, memberId: this.memberId, groupGenerationId: this.#generation };
  }
}

async function findCoordinator(cluster: Cluster, groupId: string): Promise<Coordinator> {
  return (await cluster.findGroupCoordinator({ groupId })) as unknown as Coordinator;
}

async function decide(cluster: Cluster, members: readonly Member[]) {
  await cluster.addMultipleTargetTopics(topicsOf(members));
  return assign(members, (topic) => cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId));
}

function byTopic<P extends Place>(places: readonly P[]): { topic: string; partitions: P[] }[] {
  return [...Map.groupBy(places, ({ topic }) => topic)].map(([topic, partitions]) => ({ topic, partitions }));
}
