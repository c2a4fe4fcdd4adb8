/**
 * What a reader still believes after Consul was away: while nobody could renew, nobody lapses; from the return on everybody
 * has a full lease to be seen again. Pure: time is a parameter, in milliseconds of any steady clock.
 */
import type { Instance } from "../registry.ts";

export interface LeasedInstance {
  readonly instance: Instance;
  /** How long its registration lives without renewal. */
  readonly leaseMs: number;
}

export class OutageGrace {
  #last = new Map<string, LeasedInstance>();
  /** Instances that Consul does not vouch for, and until when they are believed. */
  readonly #held = new Map<string, number>();
  #returnTime = Number.NEGATIVE_INFINITY;

  /** Consul answers again. An instance that is held already gets back the time in which it could not renew. */
  returned(now: number, outageMs: number): void {
    this.#returnTime = now;
    for (const [key, until] of this.#held) this.#held.set(key, until + outageMs);
  }

  /**
   * Those that Consul vouches for, and those that are believed without it until their lease is over. The same array as
   * `healthy` where there are none of these.
   */
  believed(now: number, healthy: readonly LeasedInstance[]): readonly LeasedInstance[] {
    const believed = new Map(healthy.map((leased) => [keyOf(leased), leased]));
    // Nobody else can be at an address: a process that is held there has a successor.
    const taken = new Set(healthy.map(({ instance }) => instance.address));
    for (const [key, leased] of this.#last) {
      if (believed.has(key)) {
        this.#held.delete(key);
        continue;
      }
      const until = this.#held.get(key) ?? this.#returnTime + leased.leaseMs;
      if (until <= now || taken.has(leased.instance.address)) {
        this.#held.delete(key);
        continue;
      }
      this.#held.set(key, until);
      believed.set(key, leased);
    }
    this.#last = believed;
    return this.#held.size === 0 ? healthy : [...believed.values()];
  }

  /** When the next one is over; Infinity where nobody is held. */
  nextEnd(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#held.values());
  }
}

function keyOf({ instance }: LeasedInstance): string {
  return `${instance.service} ${instance.instanceId}`;
}
