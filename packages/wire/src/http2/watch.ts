/**
 * The clock of a connection: one timer that looks now and then at everything that may take too long. What it finds is told to
 * the connection; it sends nothing itself.
 */
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import type { Limits } from "./limits.ts";
import type { Output } from "./output.ts";
import type { Pings } from "./pings.ts";
import type { Stream } from "./stream.ts";
import type { StreamTable } from "./stream-table.ts";

/** What is looked at, and who is told. */
export interface Watched {
  readonly limits: Limits;
  readonly streams: StreamTable;
  readonly output: Output;
  readonly pings: Pings;
  readonly heardAt: number;
  readonly ended: boolean;
  readonly settingsReceived: boolean;
  readonly settingsAcknowledged: boolean;
  readonly incompleteSince: number;
  /** Looks at the clock. @returns now, in ms. */
  tick(): number;
  fault(fault: ConnectionFault): void;
  destroy(reason?: Error): void;
  /** Ends a connection without streams gracefully. */
  retire(): void;
  stall(stream: Stream): void;
}

const SHORTEST_MS = 10;
const LONGEST_MS = 1_000;

export class Watch {
  readonly #watched: Watched;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #idleSince = 0;
  #lingersUntil = 0;
  #drainFinal: (() => void) | undefined;
  #drainUntil = 0;
  /** What the socket had taken at the last look that saw progress, and when. */
  #taken = 0;
  #takenAt = 0;
  #heardAt = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  start(now: number): void {
    const { settingsTimeoutMs, headersTimeoutMs, stallTimeoutMs, idleTimeoutMs, pingIntervalMs, pingTimeoutMs } =
      this.#watched.limits;
    const shortest = Math.min(
      settingsTimeoutMs,
      headersTimeoutMs,
      stallTimeoutMs,
      idleTimeoutMs,
      pingIntervalMs,
      pingTimeoutMs,
    );
    this.#startedAt = now;
    this.#idleSince = now;
    this.#takenAt = now;
    this.#timer = setInterval(this.#look, Math.min(LONGEST_MS, Math.max(SHORTEST_MS, shortest / 4)));
    // The socket keeps the process alive, not the looking at it.
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  idleSince(now: number): void {
    this.#idleSince = now;
  }

  /** The connection is over and waits for the peer to close its side. */
  linger(now: number, forMs: number): void {
    this.#lingersUntil = now + forMs;
  }

  /** @returns false where a drain has begun already. */
  beginDrain(now: number, final: () => void): boolean {
    if (this.#drainFinal !== undefined) return false;
    this.#drainFinal = final;
    this.#drainUntil = now + this.#watched.limits.goawayGraceMs;
    return true;
  }

  readonly #look = (): void => {
    const watched = this.#watched;
    const { limits } = watched;
    const now = watched.tick();
    if (watched.ended) {
      if (now >= this.#lingersUntil) watched.destroy();
      return;
    }
    if (this.#drainFinal !== undefined && now >= this.#drainUntil) this.#drainFinal();
    if (!watched.settingsReceived || !watched.settingsAcknowledged) {
      if (now - this.#startedAt >= limits.settingsTimeoutMs) {
        watched.fault(new ConnectionFault(ErrorCode.SETTINGS_TIMEOUT, "the peer's settings did not come in time"));
      }
    } else if (watched.incompleteSince > 0 && now - watched.incompleteSince >= limits.headersTimeoutMs) {
      watched.fault(new ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a frame took too long to arrive"));
    }
    if (!watched.ended) this.#lookAtOutput(now);
    if (!watched.ended) this.#lookForLife(now);
  };

  #lookAtOutput(now: number): void {
    const { limits, output, streams } = this.#watched;
    if (output.waitingBytes === 0 || output.taken !== this.#taken) {
      this.#taken = output.taken;
      this.#takenAt = now;
    }
    if (now - this.#takenAt >= limits.stallTimeoutMs) {
      this.#watched.destroy(new ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
      return;
    }
    for (const stream of [...streams.all()]) {
      if (stream.waiting === undefined) continue;
      // As long as the socket is full it is not the peer's windows that they wait for.
      if (output.blocked) stream.waitingSince = now;
      else if (now - stream.waitingSince >= limits.stallTimeoutMs) this.#watched.stall(stream);
    }
  }

  #lookForLife(now: number): void {
    const { limits, output, pings, streams, heardAt } = this.#watched;
    if (pings.waitingMs(now) >= limits.pingTimeoutMs && now - heardAt >= limits.pingTimeoutMs) {
      this.#watched.destroy(new Error("the peer did not answer a ping in time"));
      return;
    }
    if (streams.size > 0) {
      if (now - heardAt >= limits.pingIntervalMs && pings.waitingMs(now) === 0) pings.send(now, () => {});
    } else if (now - this.#idleSince >= limits.idleTimeoutMs) this.#watched.retire();
    // Nothing came since the last look: give memory back.
    if (heardAt === this.#heardAt) output.rest();
    this.#heardAt = heardAt;
  }
}
