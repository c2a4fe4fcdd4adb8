/** How much a peer may still send (RFC 9113, section 6.9): it gets room again as what it sent is consumed, not as it comes. */

export class ReceiveWindow {
  readonly #size: number;
  /** All since the beginning: what the peer may send, what it sent, what was consumed of it. */
  #granted: number;
  #received = 0;
  #consumed = 0;

  /** @param granted what the peer may send at the beginning. @param size what may be unread at a time. */
  constructor(granted: number, size: number) {
    this.#granted = granted;
    this.#size = size;
  }

  get unconsumed(): number {
    return this.#received - this.#consumed;
  }

  /** @returns false where the peer sent more than it may. */
  take(bytes: number): boolean {
    this.#received += bytes;
    return this.#received <= this.#granted;
  }

  /** @returns by how much the window is to be announced larger; 0: not yet, for half of it is still open. */
  consume(bytes: number): number {
    this.#consumed = Math.min(this.#consumed + bytes, this.#received);
    const increment = this.#consumed + this.#size - this.#granted;
    if (increment < this.#size / 2) return 0;
    this.#granted += increment;
    return increment;
  }
}
