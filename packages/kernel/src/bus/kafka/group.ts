/**
 * A subscription of a group: this process's part in a consumer group of Kafka, generation after generation. In each it
 * reads its share, and gives it up only when nothing of it is under way, or when Kafka took it away.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Cluster } from "kafkajs";
import type { Logger } from "pino";
import type { ConsumeOptions } from "../bus.ts";
import type { KafkaClient } from "./client.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { ended } from "./ended.ts";
import { failureType } from "./failure.ts";
import { Generation } from "./generation.ts";
import { type GroupTiming, Membership } from "./membership.ts";
import type { KafkaNames } from "./names.ts";
import type { Topics } from "./topics.ts";

export type GroupOptions = Required<ConsumeOptions>;

export interface GroupDeps {
  readonly client: KafkaClient;
  readonly names: KafkaNames;
  readonly topics: Topics;
  readonly deadLetters: DeadLetters;
  readonly timing: GroupTiming;
  readonly log: Logger;
}

const RETRY_MS = 200;
/** Something passes soon, as a new topic that its broker does not know yet; what fails so often is a problem. */
const SETTLE_AFTER = 3;
/** How soon a topic is found that was not there, or that "*" means too. */
const TOPICS_POLL_MS = 2_000;

export class GroupParticipant {
  readonly #options: GroupOptions;
  readonly #deps: GroupDeps;
  readonly #stop = new AbortController();
  readonly #settled = Promise.withResolvers<void>();
  readonly #running: Promise<void>;
  #memberId = "";
  /** In a row. */
  #failures = 0;
  problem: string | undefined;

  constructor(options: GroupOptions, deps: GroupDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#running = this.#run();
  }

  /** Resolves when it first holds its partitions, or Kafka turned out to be away. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Resolves when nothing is under way and the partitions are handed over. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { client, log } = this.#deps;
    const { group } = this.#options;
    while (!this.#stop.signal.aborted) {
      let cluster: Cluster | undefined;
      try {
        cluster = await client.cluster(() => this.#settled.resolve());
        while (!this.#stop.signal.aborted) await this.#serve(cluster);
      } catch (error) {
        if (failureType(error) === "UNKNOWN_MEMBER_ID") this.#memberId = "";
        this.#failures += 1;
        if (this.#failures === SETTLE_AFTER) {
          this.problem = `group ${group} cannot be joined`;
          log.warn({ err: error, group }, this.problem);
        }
      } finally {
        if (this.#failures >= SETTLE_AFTER) this.#settled.resolve();
        if (cluster) await client.close(cluster);
      }
      await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
    this.#settled.resolve();
  }

  /** One generation, from joining to giving up. */
  async #serve(cluster: Cluster): Promise<void> {
    const { names, timing } = this.#deps;
    const { group } = this.#options;
    const topics = await this.#topics();
    await cluster.addMultipleTargetTopics([...topics]);
    const joining = Membership.join(cluster, names.group(group), topics, timing, this.#memberId);
    joining.catch(() => {});
    // The others may take long to give up what they have; who ends does not wait for them.
    const membership = await Promise.race([joining, ended(this.#stop.signal)]);
    if (membership === undefined) return;
    this.#memberId = membership.memberId;
    const generation = await Generation.begin(cluster, membership, this.#options, this.#deps);
    this.#failures = 0;
    this.problem = undefined;
    this.#settled.resolve();
    const over = AbortSignal.any([this.#stop.signal, generation.over]);
    void this.#watchTopics(topics, over, () => generation.rejoin());
    const end = await generation.run(this.#stop.signal);
    if (end === "lost") this.#memberId = "";
    if (this.#stop.signal.aborted && end !== "lost") await membership.leave().catch(() => {});
  }

  /** Those that are there: what is missing is waited for. */
  async #topics(): Promise<readonly string[]> {
    const { names, topics } = this.#deps;
    const { group } = this.#options;
    const redelivery = names.redelivery(group);
    const wanted = this.#options.topics;
    if (wanted !== "*") return await topics.ensure([...wanted.map((topic) => names.topic(topic)), redelivery]);
    const there = await topics.list();
    const own = there.includes(redelivery) ? [redelivery] : await topics.ensure([redelivery]);
    return [...there.filter((topic) => names.sourceOf(topic) !== undefined), ...own];
  }

  async #watchTopics(known: readonly string[], over: AbortSignal, changed: () => void): Promise<void> {
    const { topics } = this.#options;
    if (topics !== "*" && known.length > topics.length) return;
    while (!over.aborted) {
      await delay(TOPICS_POLL_MS, undefined, { signal: over }).catch(() => {});
      const now = await this.#topics().catch(() => known);
      if (!over.aborted && now.some((topic) => !known.includes(topic))) return changed();
    }
  }
}
