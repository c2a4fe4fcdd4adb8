/** Our own PINGs and their answers (RFC 9113, section 6.7): which is under way, and for how long. */
import type { Output } from "./output.ts";

interface Ping {
  readonly id: number;
  readonly sentAt: number;
  /** @param roundTripMs -1: the connection ended before the answer came. */
  readonly done: (roundTripMs: number) => void;
}

export class Pings {
  readonly #output: Output;
  readonly #data = Buffer.alloc(8);
  #underWay: Ping[] = [];
  #sent = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  send(now: number, done: (roundTripMs: number) => void): void {
    this.#sent = (this.#sent + 1) >>> 0;
    this.#data.writeUInt32BE(this.#sent, 4);
    this.#output.ping(false, this.#data, 0);
    this.#underWay.push({ id: this.#sent, sentAt: now, done });
  }

  /** Answers nobody asked for are ignored. */
  answered(bytes: Buffer, start: number, now: number): void {
    if (bytes.readUInt32BE(start) !== 0) return;
    const id = bytes.readUInt32BE(start + 4);
    const place = this.#underWay.findIndex((ping) => ping.id === id);
    if (place === -1) return;
    const [ping] = this.#underWay.splice(place, 1);
    ping?.done(now - ping.sentAt);
  }

  /** How long the oldest has been under way; 0: there is none. */
  waitingMs(now: number): number {
    const oldest = this.#underWay[0];
    return oldest === undefined ? 0 : now - oldest.sentAt;
  }

  /** The connection ended. */
  fail(): void {
    const pings = this.#underWay;
    this.#underWay = [];
    for (const ping of pings) ping.done(-1);
  }
}
