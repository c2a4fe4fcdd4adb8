/** An event in a member's hands. */
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { Share } from "./share.ts";

export interface Item {
  readonly event: EventEnvelope;
  readonly share: Share;
  readonly offset: bigint;
  /** 1: the first. */
  readonly attempt: number;
  /** Empty: it comes in its turn. */
  readonly replayId: string;
  /** Its row among the server's waiting events; undefined: it was read in its turn. */
  readonly waitingId: string | undefined;
}

/** Whether order is kept between the two. */
export function sameKey(one: Item, other: Item): boolean {
  return one.share === other.share && one.event.key === other.event.key;
}
