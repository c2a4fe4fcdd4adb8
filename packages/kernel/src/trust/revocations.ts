/**
 * Which sessions and API keys have ended before their tokens did. Auth's table is the truth: it is read before anything is
 * believed, then followed over the bus, and read again where the feed has a gap or is silent.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { CLOCK_TOLERANCE_MS } from "@switchboard/contract/token";
import { SessionRevokedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import type { Logger } from "pino";
import type { Bus, Subscription } from "../bus/bus.ts";
import { startRepeating } from "./repeating.ts";

export interface Revocations extends AsyncDisposable {
  isRevoked(credentialId: string): boolean;
  /** Resolves when the list was read for the first time. */
  readonly ready: Promise<void>;
  /** Milliseconds since the list was last known to be complete; Infinity before the first reading. */
  stalenessMs(): number;
  /** Undefined: working. Otherwise what it lacks, for readiness. */
  problem(): string | undefined;
}

interface Revocation {
  readonly sequence: bigint;
  readonly credentialId: string;
  readonly expireTime?: Timestamp | undefined;
}

export interface RevocationsOptions {
  /** Auth's ListRevocations. Must end in bounded time. */
  readonly list: (
    afterSequence: bigint,
  ) => Promise<{ readonly revocations: readonly Revocation[]; readonly lastSequence: bigint }>;
  /** Undefined: the list alone is followed. */
  readonly bus?: Bus | undefined;
  readonly now: () => number;
  readonly log: Logger;
  /** For how long the feed may be silent before the list is read again. Default 5 s. */
  readonly silenceMs?: number;
}

/** The publishing service, and so the topic. */
const TOPIC = "auth";

export function openRevocations(options: RevocationsOptions): Revocations {
  const { list, bus, now, log, silenceMs = 5_000 } = options;
  /** credential id → when it may be forgotten, Unix milliseconds. */
  const revoked = new Map<string, number>();
  let lastSequence = 0n;
  let confirmedAt = Number.NEGATIVE_INFINITY;
  let gap = true;
  let subscription: Promise<Subscription> | undefined;

  const add = ({ credentialId, expireTime }: Revocation) => {
    const end = (expireTime ? timestampMs(expireTime) : now()) + CLOCK_TOLERANCE_MS;
    revoked.set(credentialId, Math.max(end, revoked.get(credentialId) ?? 0));
  };
  const subscribe = async (to: Bus): Promise<void> => {
    subscription ??= to.broadcast({ topics: [TOPIC], handle: hear, onGap: lose });
    try {
      await subscription;
    } catch (error) {
      subscription = undefined;
      throw error;
    }
  };
  /** Subscribes before it reads, so that nothing falls between the two. */
  const read = async (): Promise<void> => {
    forgetExpired();
    if (bus !== undefined) await subscribe(bus);
    const askedAt = now();
    if (!gap && askedAt - confirmedAt < silenceMs) return;
    gap = false;
    try {
      const answer = await list(lastSequence);
      answer.revocations.forEach(add);
      if (answer.lastSequence > lastSequence) lastSequence = answer.lastSequence;
      confirmedAt = askedAt;
    } catch (error) {
      gap = true;
      throw error;
    }
  };
  const hear = (event: EventEnvelope): void => {
    confirmedAt = now();
    if (event.type !== SessionRevokedSchema.typeName) return;
    try {
      add(fromBinary(SessionRevokedSchema, event.data));
    } catch (error) {
      log.error({ err: error, event_id: event.id }, "a revocation cannot be read");
      lose();
    }
  };
  const lose = (): void => {
    gap = true;
    void read().catch((error: unknown) => log.warn({ err: error }, "the revocations cannot be read"));
  };
  const forgetExpired = (): void => {
    const time = now();
    for (const [id, end] of revoked) if (end <= time) revoked.delete(id);
  };

  const repeating = startRepeating({
    run: read,
    everyMs: silenceMs,
    onError: (error) => log.warn({ err: error }, "the revocations cannot be read"),
  });
  return {
    isRevoked: (credentialId) => revoked.has(credentialId),
    ready: repeating.firstSuccess,
    stalenessMs: () => now() - confirmedAt,
    problem: () =>
      confirmedAt === Number.NEGATIVE_INFINITY ? "the revocations have not been loaded from Auth" : undefined,
    async [Symbol.asyncDispose]() {
      await repeating.end();
      await (await subscription)?.end();
    },
  };
}
