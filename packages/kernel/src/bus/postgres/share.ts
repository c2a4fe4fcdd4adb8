/** One partition that a member reads: where it reads on, and up to where everything is done. */

export class Share {
  readonly topic: string;
  readonly partition: number;
  /** The offset to read next. */
  nextOffset: bigint;
  /** The member is to hand it over when nothing of it is under way. */
  leaving = false;
  /** Events of it whose handler is under way. */
  running = 0;
  /** Whether there may be more to read. */
  unread = true;
  /** Read and not done, ascending: a Set keeps the order in which it was filled. */
  readonly #undone = new Set<bigint>();
  #told: bigint;

  constructor(topic: string, partition: number, nextOffset: bigint) {
    this.topic = topic;
    this.partition = partition;
    this.nextOffset = nextOffset;
    this.#told = nextOffset;
  }

  /** An event was read; offsets come in their order. */
  read(offset: bigint): void {
    this.#undone.add(offset);
    this.nextOffset = offset + 1n;
  }

  done(offset: bigint): void {
    this.#undone.delete(offset);
  }

  /** The offset before which everything is done. */
  get reached(): bigint {
    const [first] = this.#undone;
    return first ?? this.nextOffset;
  }

  /** Whether the server does not know of `reached` yet. */
  get advanced(): boolean {
    return this.reached > this.#told;
  }

  /** The server knows of an offset. */
  told(offset: bigint): void {
    this.#told = offset;
  }
}

export function shareKey(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
