/**
 * Counts what is legal in small numbers and an attack in large ones: frames that carry nothing (CVE-2019-9512 and its kin)
 * and streams that end by reset (CVE-2023-44487, CVE-2025-8671). Proper traffic earns more of both.
 */
import { ConnectionFault, ErrorCode } from "./error-code.ts";
import type { Limits } from "./limits.ts";

const CONTROL_PER_USEFUL_FRAME = 2;
const RESETS_PER_COMPLETED_STREAM = 0.5;

export class FloodGuard {
  readonly #limits: Limits;
  #control: number;
  #resets: number;
  #countedAt: number;

  constructor(limits: Limits, now: number) {
    this.#limits = limits;
    this.#control = limits.controlBurst;
    this.#resets = limits.resetBurst;
    this.#countedAt = now;
  }

  /** Time goes on: to be called now and then, before something is counted. */
  tick(now: number): void {
    const seconds = (now - this.#countedAt) / 1_000;
    if (seconds < 0.01) return;
    this.#countedAt = now;
    const { controlBurst, controlPerSecond, resetBurst, resetPerSecond } = this.#limits;
    this.#control = Math.min(controlBurst, this.#control + seconds * controlPerSecond);
    this.#resets = Math.min(resetBurst, this.#resets + seconds * resetPerSecond);
  }

  useful(): void {
    this.#control = Math.min(this.#limits.controlBurst, this.#control + CONTROL_PER_USEFUL_FRAME);
  }

  completed(): void {
    this.#resets = Math.min(this.#limits.resetBurst, this.#resets + RESETS_PER_COMPLETED_STREAM);
  }

  /** @throws ConnectionFault ENHANCE_YOUR_CALM */
  control(): void {
    this.#control -= 1;
    if (this.#control < 0) throw new ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that carry nothing");
  }

  /** @throws ConnectionFault ENHANCE_YOUR_CALM */
  reset(): void {
    this.#resets -= 1;
    if (this.#resets < 0) throw new ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many streams end by reset");
  }
}
